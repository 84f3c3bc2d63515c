"""Tasks without labels, against the same numbers in plain loops and in SciPy's filters."""

import numpy as np
import torch
from scipy import ndimage

from prompttune.pretraining.on_device import unlabeled
from prompttune.synthetic.batched.counter_random import Draws

SIZE, VIEWS, TASKS = 32, 3, 20
DRAWS = Draws.of(3, torch.arange(TASKS))


def photos(tasks: int = TASKS) -> torch.Tensor:
    """Return smooth random images with lines in them, the last view of each equal to the first."""
    rng = np.random.default_rng(0)
    images = ndimage.gaussian_filter(rng.random((tasks, VIEWS, 3, SIZE, SIZE)), (0, 0, 0, 2, 2))
    images = (images - images.min()) / np.ptp(images)
    images[..., 10:12] *= 0.5
    images[..., 20, :] = 0.5 + 0.5 * images[..., 20, :]
    images += rng.normal(0, 0.01, images.shape)
    images[:, -1] = images[:, 0]
    return torch.from_numpy(images.clip(0, 1).astype(np.float32))


def box(image: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over a window, of what of it is inside the image."""
    there = ndimage.uniform_filter(np.ones_like(image), width, mode="constant")
    return ndimage.uniform_filter(image, width, mode="constant") / there


def test_clusters_are_the_nearest_colors() -> None:
    images = photos()
    labels = unlabeled.color_clusters(DRAWS, images)
    assert labels.dtype == torch.uint8
    assert labels.shape == (TASKS, VIEWS, SIZE, SIZE)
    assert torch.equal(labels[:, -1], labels[:, 0])
    spots = DRAWS.integers("spots", SIZE * SIZE, unlabeled.CLUSTERS)
    for task in range(0, TASKS, 4):
        blurred = np.stack([[box(x, 5) for x in view] for view in images[task].double().numpy()])
        seeds = [blurred[0][:, spot // SIZE, spot % SIZE] for spot in spots[task].tolist()]
        away = np.stack([((blurred - seed[:, None, None]) ** 2).sum(1) for seed in seeds])
        expected = away.argmin(0) + 1
        assert (labels[task].numpy() == expected).mean() > 0.995
        assert len(np.unique(expected)) > 3


def slow_answer(gray: np.ndarray, kind: int) -> np.ndarray:
    if kind < 3:
        smooth, width = box(gray, 3), 2 * (2, 3, 5)[kind] + 1
        return smooth - ndimage.grey_opening(smooth, (width, width), mode="nearest")
    if kind == 3:
        return box(box(gray, 5), 5) - box(box(gray, 21), 21)
    spread = np.sqrt(np.maximum(box(gray**2, 7) - box(gray, 7) ** 2, 0))
    return box(spread, 5)


def test_appearance_is_what_answers_a_filter_most() -> None:
    images = photos()
    labels = unlabeled.appearance(DRAWS, images)
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) == {0, 1}
    assert torch.equal(labels[:, -1], labels[:, 0])
    mixing = DRAWS.uniform("grey", 3).double().numpy()
    mixing = mixing - 0.5 * DRAWS.chance("signed", 0.3).numpy()[:, None]
    sign = np.where(DRAWS.chance("dark", 0.6), -1, 1)
    shares = DRAWS.between("share", 0.04, 0.25).double().numpy()
    for task in range(TASKS):
        gray = sign[task] * np.einsum("c,vcyx->vyx", mixing[task], images[task].double().numpy())
        answers = np.stack([slow_answer(view, task // (TASKS // 5)) for view in gray])
        sampled = np.sort(answers[:, ::4, ::4].ravel())
        least = sampled[int((1 - shares[task]) * (len(sampled) - 1))]
        assert (labels[task].numpy() == (answers > least)).mean() > 0.99
        assert 0.02 < labels[task].float().mean() < 0.35


def test_few_tasks_are_enough() -> None:
    few = Draws(DRAWS.keys[:2])
    assert unlabeled.appearance(few, photos(2)).shape == (2, VIEWS, SIZE, SIZE)


def test_each_label_is_laid_over_in_one_color() -> None:
    images = photos()
    labels = torch.randint(0, 4, (TASKS, VIEWS, 4, 4), generator=torch.Generator().manual_seed(0))
    labels = labels.repeat_interleave(8, 2).repeat_interleave(8, 3).to(torch.uint8)
    laid = unlabeled.overlaid(DRAWS, images, labels, most=2)
    assert laid.shape == images.shape
    assert 0 <= laid.min() < laid.max() <= 1
    windows = [labels.roll(shift, (2, 3)) for shift in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    inside = torch.stack([one == labels for one in windows]).all(0)
    inside[..., [0, -1], :] = inside[..., [0, -1]] = False  # what `roll` brings from elsewhere
    strengths = []
    for task in range(TASKS):
        for label in (0, 3):
            where = (inside[task] & (labels[task] == label))[:, None].expand(-1, 3, -1, -1)
            assert torch.allclose(laid[task][where], images[task][where], atol=1e-6)
        for label in (1, 2):
            where = inside[task] & (labels[task] == label)
            strengths.append(_strength(images[task], laid[task], where))
    assert min(strengths) > 0.39
    assert max(strengths) < 1.01
    assert max(strengths) - min(strengths) > 0.3


def _strength(image: torch.Tensor, laid: torch.Tensor, where: torch.Tensor) -> float:
    """Check that `laid` is `image` faded to one color in all views; return how much."""
    before, after = (x.transpose(0, 1)[:, where].double() for x in (image, laid))
    assert before.shape[1] > 20
    off = before - before.mean(1, keepdim=True)
    kept = ((after * off).sum() / off.square().sum()).item()
    color = after - kept * before  # times the strength
    assert (color - color.mean(1, keepdim=True)).abs().max() < 1e-5
    return 1 - kept


def test_some_edges_are_soft() -> None:
    images = torch.full((TASKS, 1, 3, SIZE, SIZE), 0.5)
    labels = torch.zeros(TASKS, 1, SIZE, SIZE, dtype=torch.uint8)
    labels[..., 10:20, 10:20] = 1
    laid = unlabeled.overlaid(DRAWS, images, labels, most=1)
    changed = (laid != images).any(2).flatten(1).sum(1)
    assert set(changed.tolist()) == {10 * 10, 12 * 12}
