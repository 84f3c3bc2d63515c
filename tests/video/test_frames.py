"""`segment_frames` beside a loop written by hand, on moving squares."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import denormalize, normalize, to_tensor
from prompttune.video import segment_frames


def first_prompt(moving: ModuleType, **options: object) -> Prompt:
    return Prompt.from_examples([(moving.frame_of(0), moving.mask_of(0))], **options)  # type: ignore[arg-type]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return ((one > 0) & (other > 0)).sum() / ((one > 0) | (other > 0)).sum()


def test_a_square_is_followed(moving: ModuleType, segmenter: Segmenter) -> None:
    frames = [moving.frame_of(number) for number in range(20)]
    found = list(segment_frames(segmenter, first_prompt(moving), frames, memory=2))
    assert len(found) == 20, "the first frame has its map too"
    for number, class_map in enumerate(found):
        assert class_map.shape == moving.SIZE
        assert class_map.dtype == np.uint8
        # The window is as large as the canvas, so the answer is exact.
        assert np.array_equal(class_map, moving.mask_of(number))


def test_seen_whole_a_frame_is_coarse(moving: ModuleType, segmenter: Segmenter) -> None:
    frames = [moving.frame_of(number) for number in range(5)]
    found = list(segment_frames(segmenter, first_prompt(moving), frames, follow=False))
    scores = [iou(class_map, moving.mask_of(number)) for number, class_map in enumerate(found)]
    assert all(0.3 < score < 1 for score in scores)


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_the_memory_grows_to_its_length(
    moving: ModuleType, segmenter: Segmenter, memory: int
) -> None:
    frames = (moving.frame_of(number) for number in range(6))
    list(segment_frames(segmenter, first_prompt(moving), frames, memory))
    prompts = segmenter.network.prompts
    assert [len(each.images) for each in prompts] == [1 + min(n, memory) for n in range(6)]
    assert len({float(each.images[0].sum()) for each in prompts}) == 1, "the first frame stays"


def test_an_object_is_found_again(moving: ModuleType, segmenter: Segmenter) -> None:
    frames = [moving.frame_of(number) for number in range(12)]
    for number in (4, 5, 6):
        frames[number] = np.zeros_like(frames[number])
    found = list(segment_frames(segmenter, first_prompt(moving), frames, memory=2))
    assert not any(found[number].any() for number in (4, 5, 6))
    assert iou(found[7], moving.mask_of(7)) > 0.5, "seen in a larger window, so coarser"
    assert np.array_equal(found[9], moving.mask_of(9))


def test_several_objects_keep_their_colors(moving: ModuleType, segmenter: Segmenter) -> None:
    # The fake network answers what it sees, so the objects are painted in the palette's colors.
    def maps(number: int) -> np.ndarray:
        mask = moving.mask_of(number)
        mask[30:40, 10 + number : 20 + number] = 2
        return mask

    colors = np.array([(0, 0, 0), *Prompt.from_examples(
        [(moving.frame_of(0), maps(0))]).palette.colors], np.uint8)  # fmt: skip
    frames = [colors[maps(number)] for number in range(8)]
    prompt = Prompt.from_examples([(frames[0], maps(0))], classes=["square", "bar"])
    for number, class_map in enumerate(segment_frames(segmenter, prompt, frames, memory=2)):
        for value in (1, 2):
            assert iou(class_map == value, maps(number) == value) > 0.6


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_a_prompt_at_a_scale_sees_tiles(
    moving: ModuleType, segmenter: Segmenter, scale: float
) -> None:
    prompt = first_prompt(moving, scale=scale, canvas=moving.CANVAS)
    frames = [moving.frame_of(number) for number in range(4)]
    found = list(segment_frames(segmenter, prompt, frames, memory=2))
    for number, (class_map, frame) in enumerate(zip(found, frames, strict=True)):
        assert iou(class_map, moving.mask_of(number)) > 0.7
        assert np.array_equal(class_map, segmenter.predict(frame, prompt).classes)
    assert {tuple(each.images.shape[1:]) for each in segmenter.network.prompts} == {(3, 16, 16)}


def test_a_real_network_remembers_as_the_hand_written_loop(moving: ModuleType) -> None:
    config = SegGPTConfig(
        canvas=16,
        patch=4,
        dim=16,
        depth=4,
        heads=2,
        out_indices=(2, 3),
        decoder_dim=4,
        pretrain_canvas=16,
    )
    generator = torch.Generator().manual_seed(0)
    network = SegGPT(config).requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    # Where this random network colors something, but not all: the test must see a memory.
    prompt = replace(first_prompt(moving), threshold=0.3)
    frames = [moving.frame_of(number) for number in range(5)]
    found = list(segment_frames(Segmenter(network, "cpu"), prompt, frames, memory=2, follow=False))

    def fitted(pixels: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(pixels[None], (16, 16), mode="bicubic", antialias=True)[0]
        return small.clamp(pixels.min(), pixels.max())

    images, colors = prompt.at(16)
    memory: list[tuple[torch.Tensor, torch.Tensor]] = []
    entered = 0
    for frame, class_map in zip(frames, found, strict=True):
        query = fitted(to_tensor(frame))
        above = torch.stack([*images, *(image for image, _ in memory)])
        painted = torch.stack([*colors, *(color for _, color in memory)])
        answer = denormalize(network.ensemble(normalize(query)[None], normalize(above),
                                              normalize(painted)))  # fmt: skip
        scores = F.interpolate(prompt.palette.scores(answer), moving.SIZE, mode="bilinear")[0]
        expected = prompt.decide(scores).numpy()
        assert (expected != class_map).mean() < 0.001
        if expected.any():
            entered += 1
            soft = F.interpolate(scores[None], (16, 16), mode="bilinear", antialias=True)[0]
            memory = [*memory, (query, soft.expand(3, -1, -1))][-2:]
    assert entered >= 3


def test_frames_are_taken_one_by_one(moving: ModuleType, segmenter: Segmenter) -> None:
    taken: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for number in range(100):
            taken.append(number)
            yield moving.frame_of(number % 20)

    found = segment_frames(segmenter, first_prompt(moving), frames())
    assert not taken
    for count in (1, 2, 3):
        next(found)
        assert len(taken) == count


def test_no_frames_give_no_maps(moving: ModuleType, segmenter: Segmenter) -> None:
    assert list(segment_frames(segmenter, first_prompt(moving), [])) == []


def test_bad_input_is_refused(moving: ModuleType, segmenter: Segmenter) -> None:
    prompt, frame = first_prompt(moving), moving.frame_of(0)
    with pytest.raises(InputError, match="memory -1: must be a whole number 0 to 64"):
        segment_frames(segmenter, prompt, [frame], memory=-1)
    key = replace(prompt, fingerprint="0" * 64, name="retina")
    with pytest.raises(InputError, match="prompt retina: learned on the backbone"):
        segment_frames(segmenter, key, [frame])
    with pytest.raises(InputError, match="frame 1 is 50 x 40, but the first is 64 x 48"):
        list(segment_frames(segmenter, prompt, [frame, frame[:40, :50]]))
    with pytest.raises(InputError, match="frame 0: array of 5"):
        list(segment_frames(segmenter, prompt, [np.zeros(5, np.uint8)]))
    with pytest.raises(InputError, match="no example shows the first frame"):
        list(segment_frames(segmenter, prompt, [frame[:, ::-1]], follow=True))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda mask: mask[:40], "is 64 x 48 but .* is 64 x 40"),
        (lambda mask: mask * 0, "all background"),
        (lambda mask: mask * 3, r"holds values 0, 3, but the task's 2 classes"),
    ],
)
def test_bad_first_masks_are_refused(moving: ModuleType, change: object, line: str) -> None:
    assert callable(change)
    with pytest.raises(InputError, match=line):
        Prompt.from_examples([(moving.frame_of(0), change(moving.mask_of(0)))], ["one", "two"])
