"""`segment_video` on generated files and folders: what it writes, and what it refuses."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import prompttune.video as package
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.video import open_clip, segment_video


@pytest.fixture
def prompt(moving: ModuleType) -> Prompt:
    return Prompt.from_examples([(moving.frame_of(0), moving.mask_of(0))])


def test_a_file_becomes_masks_and_an_annotated_video(
    tmp_path: Path, moving: ModuleType, segmenter: Segmenter, prompt: Prompt
) -> None:
    frames = [moving.frame_of(number) for number in range(9)]
    source = moving.write_video(tmp_path / "clip.mkv", frames, rate=15)
    output = tmp_path / "new" / "results"
    assert segment_video(segmenter, prompt, source, output, memory=2) == 9
    names = [f"{number:05}.png" for number in range(9)]
    assert sorted(path.name for path in (output / "clip").iterdir()) == names
    for number, name in enumerate(names):
        with Image.open(output / "clip" / name) as mask:
            assert mask.mode == "P"
            assert mask.getpalette()[3:6] == [255, 255, 255]
            wrong = np.asarray(mask) != moving.mask_of(number)
        assert wrong.mean() < 0.01, "but for what the compression changed"
    annotated = open_clip(output / "clip_overlay.mp4")
    assert annotated.rate == 15
    shown = list(annotated.frames())
    assert [frame.shape for frame in shown] == [(*moving.SIZE, 3)] * 9
    inside, frame = moving.mask_of(8) > 0, shown[8].astype(int)
    assert (frame[inside][:, 2] - frame[inside][:, 0]).mean() > 60, "one class is shown in cyan"
    assert abs(frame[~inside][:, 2] - frame[~inside][:, 0]).mean() < 60
    assert sorted(path.name for path in output.iterdir()) == ["clip", "clip_overlay.mp4"]


def test_a_folder_becomes_masks_and_overlays(
    tmp_path: Path, moving: ModuleType, segmenter: Segmenter, prompt: Prompt
) -> None:
    folder, output = tmp_path / "frames", tmp_path / "out"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(moving.frame_of(number)).save(folder / f"shot-{number}.png")
    assert segment_video(segmenter, prompt, folder, output) == 4
    for number in range(4):
        with Image.open(output / f"shot-{number}.png") as mask:
            assert np.array_equal(np.asarray(mask), moving.mask_of(number))
        with Image.open(output / f"shot-{number}_overlay.png") as overlay:
            assert overlay.size == (64, 48)
    assert len(list(output.iterdir())) == 8


def test_a_broken_file_leaves_no_video(
    tmp_path: Path, moving: ModuleType, segmenter: Segmenter, prompt: Prompt
) -> None:
    frames = [np.random.default_rng(n).integers(0, 256, (48, 64, 3), np.uint8) for n in range(20)]
    source = moving.write_video(tmp_path / "clip.mkv", frames)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    output = tmp_path / "out"
    with pytest.raises(InputError, match=r"clip\.mkv: ends early, after \d+ frames"):
        segment_video(segmenter, prompt, source, output)
    assert [path.name for path in output.iterdir()] == ["clip"]
    assert all(path.suffix == ".png" for path in (output / "clip").iterdir())


def test_results_never_replace_an_input(
    tmp_path: Path, moving: ModuleType, segmenter: Segmenter, prompt: Prompt
) -> None:
    folder, example = tmp_path / "frames", tmp_path / "examples" / "00000.png"
    folder.mkdir()
    Image.fromarray(moving.frame_of(0)).save(folder / "00000.png")
    film = moving.write_video(tmp_path / "examples.mp4", [moving.frame_of(0)])
    with pytest.raises(InputError, match="would be written over an input"):
        segment_video(segmenter, prompt, folder, folder)
    for source, output in ((folder, tmp_path / "examples"), (film, tmp_path)):
        with pytest.raises(InputError, match="would be written over an input"):
            segment_video(segmenter, prompt, source, output, kept=[example])
    assert not example.exists()


def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, moving: ModuleType, segmenter: Segmenter, prompt: Prompt
) -> None:
    source = moving.write_video(tmp_path / "clip.mp4", [moving.frame_of(0)])
    output = tmp_path / "out"
    with pytest.raises(InputError, match="memory -2"):
        segment_video(segmenter, prompt, source, output, memory=-2)
    with pytest.raises(InputError, match="no such file or folder"):
        segment_video(segmenter, prompt, tmp_path / "missing.mp4", output)
    several = Composition([prompt])
    with pytest.raises(InputError, match="keys are not composed here"):
        segment_video(segmenter, several, source, output)  # type: ignore[arg-type]
    assert not output.exists()


def test_public_names() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'segment_movie'"):
        package.segment_movie  # noqa: B018
