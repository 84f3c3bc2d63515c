import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.baselines.linear_probe import LinearProbe
from prompttune.utils.normalize import normalize

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=12, depth=3, heads=2, merge_index=0, out_indices=(0, 1, 2),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


def network() -> SegGPT:
    torch.manual_seed(0)
    made = SegGPT(CONFIG).eval().requires_grad_(False)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_each_pixel_gets_its_patch_and_place_in_it() -> None:
    backbone = network()
    probe = LinearProbe(backbone, classes=2)
    queries = torch.randn(2, 3, 16, 16)
    logits = probe(queries)
    assert logits.shape == (2, 3, 16, 16)
    caught = []
    handle = backbone.decoder_embed.register_forward_pre_hook(lambda _, x: caught.append(x[0]))
    zeros = torch.zeros(1, 3, 16, 16)
    backbone.ensemble(queries, zeros, normalize(zeros))
    handle.remove()
    features = caught[0][:, -16:]  # the query's 4 x 4 patches
    weight = probe.head.weight.view(4, 4, 3, -1)
    bias = probe.head.bias.view(4, 4, 3)
    for row, column, y, x in ((0, 0, 0, 0), (1, 2, 3, 1), (3, 3, 2, 3), (0, 3, 1, 0)):
        expected = features[:, row * 4 + column] @ weight[y, x].T + bias[y, x]
        torch.testing.assert_close(logits[:, :, row * 4 + y, column * 4 + x], expected)


def test_a_one_way_backbone_shows_early_blocks_as_well() -> None:
    torch.manual_seed(0)
    config = SegGPTConfig(
        canvas=16, patch=4, dim=16, depth=3, heads=2, one_way=True, apart=2, match_indices=(0, 1),
        out_indices=(2,), image_indices=(0,), pixel_dim=4, decoder_dim=4, pretrain_canvas=16,
    )  # fmt: skip
    probe = LinearProbe(build(config).eval().requires_grad_(False), classes=2)
    assert probe.head.in_features == 2 * 16
    assert probe(torch.randn(2, 3, 16, 16)).shape == (2, 3, 16, 16)


def test_only_the_head_is_trained_and_kept() -> None:
    probe = LinearProbe(network(), classes=1)
    assert set(probe.state_dict()) == {"head.weight", "head.bias"}
    probe(torch.randn(1, 3, 16, 16)).sum().backward()
    assert probe.head.weight.grad is not None
    assert not probe._frozen[0].decoder_embed._forward_pre_hooks
