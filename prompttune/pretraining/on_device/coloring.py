"""Batches of in-context coloring: light and color of the images, colors of the classes, masks.

The batched counterparts of what `pairs` does to one sample; B samples are 2B images, of which image
2b is a prompt and 2b + 1 its query.
"""

import torch
from torch import Tensor

from prompttune.pretraining.coloring import fixed_colors
from prompttune.pretraining.dataset import Mix
from prompttune.synthetic.batched.counter_random import Draws

CLASSES = 9
"""Most labels of a sample: its kinds of things, or its instances."""
FEW = 3
"""So many classes or fewer have colors farther apart."""
MIN_SHARE = 0.004
"""Of an image; what shows less of a class does not show it."""
_KERNEL = 2


def recolor(draws: Draws, images: Tensor) -> Tensor:
    """Change light and color: strongly and alike for all images of a sample, weakly for each.

    `draws`: B samples, on the host; `images`: V B x 3 x S x S in [0, 1], those of a sample side by
    side. Returns images alike.
    """
    device, size = images.device, images.shape[-1]
    views = range(len(images) // len(draws.keys))
    each = Draws(torch.stack([draws.fork("image", view).keys for view in views], 1).flatten())
    blurred, noisy = (  # on the host, since their number decides sizes
        each.chance(name, share).nonzero().flatten().to(device, non_blocking=True)
        for name, share in (("blur", 0.2), ("noise", 0.3))
    )
    each = each.to(device)
    matrix, shift = _light(draws.to(device), each)
    light = torch.baddbmm(shift[..., None], matrix, images.flatten(2)).view(images.shape)
    light[blurred] = _blur(light[blurred], each.rows(blurred).between("sigma", 0.4, 1.2))
    grain = each.rows(noisy).noise("pixels", 3, size, size)
    light[noisy] += grain * each.rows(noisy).between("strength", 0, 0.06)[:, None, None, None]
    return light.clamp_(0, 1)


def _light(draws: Draws, each: Draws) -> tuple[Tensor, Tensor]:
    """Draw one affine map of the colors for each image: V B x 3 x 3 and V B x 3.

    Inversion and mixing of channels belong to the sample, gain and shift to each image.
    """
    unit = torch.eye(3, device=draws.keys.device)
    views = len(each.keys) // len(draws.keys)
    mixed = unit[draws.permutation("channels", 3)] + 0.2 * draws.normal("mixing", 3, 3)
    mixing = torch.where(draws.chance("mix", 0.4)[:, None, None], mixed, unit)
    mixing = torch.where(draws.chance("grey", 0.15)[:, None, None], 1 / 3, mixing)
    invert = draws.chance("invert", 0.2).repeat_interleave(views)[:, None]
    gain = (1 + 0.12 * each.normal("gains", 3)) * (1 + 0.1 * each.normal("gain", 1))
    matrix = mixing.repeat_interleave(views, 0) * gain[..., None]
    shift = 0.05 * each.normal("shift", 3) + torch.where(invert, matrix.sum(2), 0.0)
    return torch.where(invert[..., None], -matrix, matrix), shift


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image by its own Gaussian of 5 out_indices."""
    out_indices = torch.arange(-_KERNEL, _KERNEL + 1, device=images.device)
    kernel = torch.exp(-0.5 * (out_indices / sigma[:, None]).square())
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, :, None, None, None]
    for axis in (2, 3):
        extent = images.shape[axis]
        margins = [_KERNEL * (axis == 3)] * 2 + [_KERNEL * (axis == 2)] * 2
        padded = torch.nn.functional.pad(images, margins, mode="replicate")
        images = padded.narrow(axis, 0, extent) * kernel[:, 0]
        for k in range(1, 2 * _KERNEL + 1):
            images.addcmul_(padded.narrow(axis, k, extent), kernel[:, k])
    return images


def random_colors(draws: Draws, count: int, least: float) -> Tensor:
    """Draw `count` colors for each sample, N x (1 + count) x 3; the first is black.

    Each is the first of some uniform ones that is `least` away from black and all earlier ones.
    """
    many = 48
    chosen = [torch.zeros(len(draws.keys), 3, device=draws.keys.device)]
    preference = 1e3 - torch.arange(many, device=draws.keys.device)
    rows = torch.arange(len(draws.keys), device=draws.keys.device)
    for k in range(count):
        offered = draws.uniform(f"colour {k}", many, 3)
        squared = torch.stack([(offered - one[:, None]).square().sum(2) for one in chosen])
        apart = squared.amin(0)
        chosen.append(offered[rows, torch.where(apart > least**2, preference, apart).argmax(1)])
    return torch.stack(chosen, 1)


def palettes(draws: Draws, kept: Tensor) -> Tensor:
    """Draw the colors of `kept` (B int64) classes: B x (1 + CLASSES) x 3 in [0, 1], black first.

    None is near black, no two are alike; often they are corners of the color cube, as palettes at
    inference are, and then often white first.
    """
    few = random_colors(draws.fork("few"), FEW, 0.45)
    many = random_colors(draws.fork("many"), CLASSES, 0.3)
    few = torch.nn.functional.pad(few, (0, 0, 0, CLASSES - FEW))
    palette = torch.where((kept <= FEW)[:, None, None], few, many)
    rank = draws.uniform("corners", 7)
    white_first = draws.chance("white", 0.4)
    last = torch.arange(7, device=rank.device) == 6
    corner = torch.where(last & white_first[:, None], -1.0, rank).argsort(dim=1) + 1
    cube = torch.stack((corner >> 2 & 1, corner >> 1 & 1, corner & 1), 2).float()
    cornered = draws.chance("cube", 0.4) & (kept <= 7)
    palette[:, 1:8] = torch.where(cornered[:, None, None], cube, palette[:, 1:8])
    return palette


def class_colors(draws: Draws, labels: Tensor, instance: Tensor, mix: Mix) -> Tensor:
    """Choose classes that both images show and draw their colors.

    `labels`: 2B x S x S uint8 up to `CLASSES`; `instance`: B bool, where as many as may be are
    chosen, elsewhere often one. Returns B x (1 + CLASSES) x 3 float32, the color of
    each label: black for background and what was not chosen.
    """
    present = torch.stack(
        [(labels == label).sum((1, 2), dtype=torch.int32) for label in range(1, CLASSES + 1)], 1
    )
    enough = MIN_SHARE * labels[0].numel()
    shown = (present >= enough).view(-1, 2, CLASSES).all(1)
    most = 1 + (mix.max_classes * draws.uniform("kept").square()).long()
    most = torch.where(instance, mix.max_classes, most)
    key = torch.where(shown, draws.uniform("kept order", CLASSES), 2.0)
    place = key.argsort(dim=1).argsort(dim=1)
    kept = shown & (place < most[:, None])
    if mix.colors == "fixed":
        table = torch.from_numpy(fixed_colors()[1 : CLASSES + 1]).to(labels.device)
        colored = table * kept[..., None]
    else:
        place = torch.where(kept, place + 1, 0)[..., None].expand(-1, -1, 3)
        colored = palettes(draws, kept.sum(1)).gather(1, place)
    return torch.nn.functional.pad(colored, (0, 0, 1, 0))


def color(labels: Tensor, colors: Tensor) -> Tensor:
    """Color the labels, 2B x S x S, by each sample's `class_colors`: B x 3 x 2S x S float32."""
    size = labels.shape[-1]
    index = labels.view(-1, 1, 2 * size * size).long().expand(-1, 3, -1)
    return colors.transpose(1, 2).gather(2, index).view(-1, 3, 2 * size, size)


def hide(draws: Draws, side: int, mix: Mix) -> Tensor:
    """Draw which tokens of `2 side x side` are hidden, row by row: B x tokens bool."""
    tokens = 2 * side * side
    place = torch.arange(tokens, device=draws.keys.device)
    half = (place >= tokens // 2).expand(len(draws.keys), -1)
    rank = draws.permutation("hidden", tokens)
    return torch.where(
        draws.chance("half", mix.half_masked)[:, None], half, rank < int(tokens * mix.patch_ratio)
    )


def weigh(target: Tensor, masked: Tensor, patch: int, foreground: float) -> Tensor:
    """Weigh the hidden pixels so that colored ones have at least the share `foreground`.

    `target`: B x 3 x 2S x S, `masked`: B x tokens. Returns B x 1 x 2S x S float32. The boost is at
    most tenfold: a handful of pixels must not be the whole loss.
    """
    height, width = target.shape[2:]
    hidden = masked.view(-1, 1, height // patch, width // patch)
    hidden = hidden.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    colored = hidden & (target.amax(1, keepdim=True) > 0)
    shown, all_hidden = (one.flatten(1).sum(1, dtype=torch.int32) for one in (colored, hidden))
    share = shown / all_hidden.clamp(min=1)
    boost = foreground * (1 - share) / (share * (1 - foreground)).clamp(min=1e-6)
    few = (share > 0) & (share < foreground)
    boost = torch.where(few, boost.clamp(max=10.0), 1.0).view(-1, 1, 1, 1)
    return torch.where(colored, boost, 1.0) * hidden
