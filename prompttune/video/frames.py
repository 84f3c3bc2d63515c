"""Segment the frames of a video one after the other."""

from collections.abc import Iterable, Iterator

import numpy as np

from prompttune.data.inputs import load_image
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_tensor
from prompttune.video.following import Follower, start_following
from prompttune.video.memory import Memory


def segment_frames(
    segmenter: Segmenter,
    prompt: Prompt,
    frames: Iterable[np.ndarray],
    memory: int = 1,
    follow: bool | None = None,
    overlap: float = 0.25,
) -> Iterator[np.ndarray]:
    """Segment a video frame by frame, each with the last ones as further examples.

    Prompt and memory, the last `memory` frames with their soft answers, are one feature ensemble
    (SegGPT, section 3.3). Where an example of the prompt is the first frame, and the canvas too
    small for its objects, a window follows them (`prompttune.video.following`).

        for class_map in segment_frames(segmenter, Prompt.from_examples([(first, mask)]), frames):
            ...

    Args:
        segmenter: with the prompt's backbone.
        prompt: the first frame with its mask, other examples, or a key. Several objects are several
            classes.
        frames: each `H x W x 3 uint8` RGB, all of one size; read one at a time.
        memory: K, 0 or more.
        follow: None decides as above; True follows objects of any size, False sees frames whole.
        overlap: of windows at a prompt's scale, as in `Segmenter.predict`.

    Returns:
        An iterator of class maps, `H x W uint8`, one a frame, the first one included: 0 background,
        i the prompt's `palette.classes[i - 1]`. A frame is read when its map is asked for.

    Raises:
        InputError: at once, a negative memory or another backbone's key; while iterating, an array
            that is no frame, frames of different sizes, or `follow=True` where no example of the
            prompt shows the first frame.
    """
    check("frames", memory, "memory")
    segmenter.check(prompt)
    return _class_maps(segmenter, prompt, frames, memory, follow, overlap)


def _class_maps(
    segmenter: Segmenter,
    prompt: Prompt,
    frames: Iterable[np.ndarray],
    length: int,
    follow: bool | None,
    overlap: float,
) -> Iterator[np.ndarray]:
    canvas, patch = segmenter.canvas(prompt), segmenter.network.config.patch
    memory: Memory | None = None
    follower: Follower | None = None
    size: tuple[int, ...] = ()
    for number, frame in enumerate(frames):
        pixels = load_image(frame, f"frame {number}")
        if memory is None:
            size = pixels.shape
            if follow is not False:
                prompt, follower = start_following(
                    prompt, to_tensor(pixels), canvas, patch, follow is True
                )
            elif prompt.scale == "auto":
                prompt = prompt.at_scale(None, prompt.canvas)
            prompt = segmenter.scaled(prompt)
            memory = Memory(prompt, length, canvas)
        elif pixels.shape != size:
            sizes = [f"{width} x {height}" for height, width, _ in (pixels.shape, size)]
            raise InputError(
                f"frame {number} is {sizes[0]}, but the first is {sizes[1]}; frames need one size"
            )
        part = follower.window.slices if follower else np.s_[:, :]
        seen = np.ascontiguousarray(pixels[part])
        result = segmenter.predict(seen, memory.prompt(), overlap)
        memory.add(to_tensor(seen), result)
        class_map = np.zeros(size[:2], np.uint8)
        class_map[part] = result.classes
        if follower:
            follower.update(class_map > 0)
        yield class_map
