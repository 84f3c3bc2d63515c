"""Where a window starts, how it moves, and when there is one."""

from types import ModuleType

import numpy as np
import pytest
import torch

from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_tensor
from prompttune.video.following import Extent, Follower, Window, start_following

CANVAS, PATCH = 16, 4
FRAME = (48, 64)


def square(top: int, left: int, side: int = 8) -> np.ndarray:
    mask = np.zeros(FRAME, bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    ("center", "size", "expected"),
    [
        ((20, 30), (10, 20), Window(15, 20, 10, 20)),
        ((2, 63), (10, 20), Window(0, 44, 10, 20)),
        ((20, 30), (500, 0), Window(0, 30, 48, 1)),
    ],
)
def test_windows_stay_inside_the_frame(
    center: tuple[int, int], size: tuple[int, int], expected: Window
) -> None:
    assert Window.around(center, size, FRAME) == expected


def test_the_extent_of_a_box_by_hand() -> None:
    mask = np.zeros(FRAME, bool)
    mask[10:14, 20:32] = True
    extent = Extent.of(mask)
    assert extent.center == pytest.approx((12, 26))
    # A uniform stretch of n pixels has a standard deviation of n / sqrt(12).
    assert extent.spread == pytest.approx((4 / 12**0.5, 12 / 12**0.5))


def test_the_first_window_reaches_past_the_object() -> None:
    window = Follower(square(20, 20), least=1).window
    assert window == Window(19, 19, 10, 10)
    assert Follower(square(20, 20), least=16).window == Window(16, 16, 16, 16)
    assert Follower(np.ones(FRAME, bool), least=16).window == Window(0, 0, *FRAME)


def test_the_window_moves_with_the_object_and_keeps_its_size() -> None:
    follower = Follower(square(20, 4), least=1)
    for left in range(6, 40, 2):
        follower.update(square(20, left))
        assert follower.window == Window(19, left - 1, 10, 10)


def test_the_window_grows_with_the_object_step_by_step() -> None:
    follower = Follower(square(20, 20), least=1)
    follower.update(square(16, 16, 16))
    assert follower.window.height == round(10 * 1.1)
    for _ in range(20):
        follower.update(square(16, 16, 16))
    assert follower.window == Window(14, 14, 20, 20)


def test_a_lost_object_is_searched_in_ever_larger_windows() -> None:
    follower = Follower(square(20, 20), least=1)
    nothing = np.zeros(FRAME, bool)
    heights = []
    for _ in range(6):
        follower.update(nothing)
        heights.append(follower.window.height)
    assert heights == [15, 22, 33, 48, 48, 48]
    assert follower.window.width == 64
    follower.update(square(30, 50))
    assert follower.window == Window(29, 49, 10, 10), "found again, it is as close as before"


def example(moving: ModuleType, **options: object) -> Prompt:
    return Prompt.from_examples([(moving.frame_of(0), moving.mask_of(0))], **options)  # type: ignore[arg-type]


def test_examples_are_cut_to_their_objects(moving: ModuleType) -> None:
    frame = to_tensor(moving.frame_of(0))
    prompt, follower = start_following(example(moving), frame, CANVAS, PATCH)
    assert follower is not None
    assert follower.window == Window(16, 0, 16, 16)
    rows, columns = follower.window.slices
    assert torch.equal(prompt.images[0], frame[:, rows, columns])
    white = prompt.colors[0].amin(0) > 0.5
    assert np.array_equal(white.numpy(), moving.mask_of(0)[rows, columns] > 0)


def test_an_example_without_objects_stays_whole(moving: ModuleType) -> None:
    empty = np.zeros(FRAME, np.uint8)
    pairs = [(moving.frame_of(3), empty), (moving.frame_of(0), moving.mask_of(0))]
    frame = to_tensor(moving.frame_of(0))
    prompt, follower = start_following(Prompt.from_examples(pairs), frame, CANVAS, PATCH)
    assert follower is not None
    assert [image.shape for image in prompt.images] == [(3, CANVAS, CANVAS)] * 2
    assert not prompt.colors[0].any()


@pytest.mark.parametrize("why", ["scale", "key", "another image", "another size", "large"])
def test_where_no_window_is_of_use(moving: ModuleType, why: str) -> None:
    frame = to_tensor(moving.frame_of(0))
    options: dict = {"scale": 1.0, "canvas": CANVAS} if why == "scale" else {}
    prompt = example(moving, **options)
    if why == "key":
        prompt = Prompt(prompt.images, prompt.colors, prompt.palette, fingerprint="f" * 64)
    if why == "another image":
        frame = frame.flip(2)
    if why == "another size":
        frame = frame[:, :40]
    patch = 1 if why == "large" else PATCH  # then the object covers 9 patches a side
    canvas = 64 if why == "large" else CANVAS
    unchanged, follower = start_following(prompt, frame, canvas, patch)
    assert follower is None
    assert unchanged is prompt or (why == "large" and unchanged.scale is None)
    if why == "large":
        assert start_following(prompt, frame, canvas, patch, always=True)[1] is not None
    else:
        with pytest.raises(InputError, match="no example shows the first frame"):
            start_following(prompt, frame, canvas, patch, always=True)


def test_a_lossy_copy_of_the_first_frame_is_known(moving: ModuleType) -> None:
    noise = np.random.default_rng(0).integers(-9, 10, (*FRAME, 3))
    copy = np.clip(moving.frame_of(0) + noise, 0, 255).astype(np.uint8)
    assert start_following(example(moving), to_tensor(copy), CANVAS, PATCH)[1] is not None
