"""What is written is read back, and nothing half-written stays."""

from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from prompttune.video import open_clip
from prompttune.video.writing import VideoWriter


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("rate", [Fraction(10), Fraction(30000, 1001)])
def test_size_rate_and_pictures_come_back(
    tmp_path: Path, moving: ModuleType, size: tuple[int, int], rate: Fraction
) -> None:
    frames = [moving.frame_of(number)[: size[0], : size[1]] for number in range(7)]
    path = tmp_path / "out.mp4"
    with VideoWriter(path, rate) as writer:
        for frame in frames:
            writer.add(frame)
        assert not path.exists(), "it appears when it is whole"
    clip = open_clip(path)
    assert clip.rate == rate
    read = list(clip.frames())
    assert len(read) == 7
    for one, other in zip(read, frames, strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).mean() < 12
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [0, 2])
def test_an_error_leaves_the_old_file(tmp_path: Path, moving: ModuleType, before: int) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")

    def write() -> None:
        with VideoWriter(path, Fraction(10)) as writer:
            for number in range(before):
                writer.add(moving.frame_of(number))
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
