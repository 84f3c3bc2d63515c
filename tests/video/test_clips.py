"""Reading videos and folders of frames, and what is said of those that cannot be read."""

import struct
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from PIL import Image

from prompttune.utils.errors import InputError
from prompttune.video import open_clip


def save_frames(folder: Path, frames: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:05}.png")
    return folder


def noisy_video(path: Path, moving: ModuleType, **options: str) -> Path:
    frames = [np.random.default_rng(n).integers(0, 256, (48, 64, 3), np.uint8) for n in range(20)]
    return moving.write_video(path, frames, **options)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_a_file_is_read_frame_by_frame(tmp_path: Path, moving: ModuleType, name: str) -> None:
    frames = [moving.frame_of(number) for number in range(6)]
    clip = open_clip(moving.write_video(tmp_path / name, frames, rate=12))
    assert clip.rate == 12
    assert not clip.is_folder
    assert clip.length in (6, None)
    for _ in range(2):
        read = list(clip.frames())
        assert len(read) == 6
        for one, other in zip(read, frames, strict=True):
            assert one.shape == other.shape
            assert one.dtype == np.uint8
            assert np.abs(one.astype(int) - other).mean() < 12


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path, moving: ModuleType) -> None:
    frames = [moving.frame_of(number) for number in range(12)]
    clip = open_clip(save_frames(tmp_path / "frames", frames))
    assert clip.is_folder
    assert (clip.length, clip.rate) == (12, Fraction(25))
    for one, other in zip(clip.frames(), frames, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2)])
def test_a_turned_film_is_read_upright(
    tmp_path: Path, moving: ModuleType, matrix: tuple[int, ...], turns: int
) -> None:
    path = moving.write_video(tmp_path / "phone.mp4", [moving.frame_of(0)])
    lying = next(open_clip(path).frames())
    # The track's matrix, as phones set it: right goes down and down goes left for a film to be
    # shown a quarter clockwise (ISO 14496-12, section 6.2.2).
    content = path.read_bytes()
    one = 1 << 16
    start = content.index(struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30),
                          content.index(b"tkhd"))  # fmt: skip
    a, b, c, d = (value * one for value in matrix)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:start] + turned + content[start + len(turned) :])
    assert np.array_equal(next(open_clip(path).frames()), np.rot90(lying, turns))


@pytest.mark.parametrize("name", ["fast.mp4", "slow.mp4", "cut.mkv"])
def test_a_file_that_ends_early_is_named(tmp_path: Path, moving: ModuleType, name: str) -> None:
    options = {"movflags": "faststart"} if name == "fast.mp4" else {}
    path = noisy_video(tmp_path / name, moving, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read: list[np.ndarray] = []
    with pytest.raises(InputError, match=rf"{name}: (ends early|is not a video)") as caught:
        read.extend(open_clip(path).frames())
    assert "\n" not in str(caught.value)
    assert len(read) < 20
    if name != "slow.mp4":  # its table of contents is at its end: nothing can be read
        assert read
        assert f"after {len(read)} frames" in str(caught.value)


def test_files_that_are_no_videos_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all, only some text")
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    (tmp_path / "folder").mkdir()
    for name, line in {
        "missing.mp4": "no such file or folder",
        "empty.mp4": r"is empty \(0 bytes\)",
        "text.mp4": "is not a video",
        "sound.mp4": "has sound but no pictures",
        "folder": "no images in this folder",
    }.items():
        with pytest.raises(InputError, match=f"{name}: {line}"):
            open_clip(tmp_path / name)


def test_a_file_without_frames_is_named(
    tmp_path: Path, moving: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prompttune.video import clips

    clip = open_clip(moving.write_video(tmp_path / "clip.mp4", [moving.frame_of(0)]))
    monkeypatch.setattr(clips, "_decoded", lambda path: iter(()))
    with pytest.raises(InputError, match=r"clip\.mp4: has no frames"):
        next(clip.frames())


def test_frames_of_changing_size_are_named(tmp_path: Path, moving: ModuleType) -> None:
    frames = [moving.frame_of(0), moving.frame_of(1), moving.frame_of(2)[:40, :50]]
    clip = open_clip(save_frames(tmp_path / "frames", frames))
    with pytest.raises(InputError, match=r"00002\.png is 50 x 40, but the first frame is 64 x 48"):
        list(clip.frames())


def test_a_truncated_frame_is_named(tmp_path: Path, moving: ModuleType) -> None:
    folder = save_frames(tmp_path / "frames", [moving.frame_of(0), moving.frame_of(1)])
    path = folder / "00001.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"00001\.png: is truncated"):
        list(open_clip(folder).frames())
