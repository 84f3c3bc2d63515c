"""The benchmark on generated sequences, and the shipped backbone on a real one."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from prompttune.inference.segmenter import Segmenter
from prompttune.utils.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    spec = importlib.util.spec_from_file_location("video_bench", ROOT / "benchmarks/video.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "video_bench", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path, moving: ModuleType) -> Path:
    for name in ("left", "right"):
        for kind, picture in (("images", moving.frame_of), ("masks", moving.mask_of)):
            folder = tmp_path / kind / name
            folder.mkdir(parents=True)
            for number in range(5):
                Image.fromarray(picture(number)).save(folder / f"{number:05}.png")
    return tmp_path


def test_a_row_by_hand(benchmark: ModuleType, data: Path, segmenter: Segmenter) -> None:
    sequences = benchmark.find_sequences(data)
    assert [each.name for each in sequences] == ["left", "right"]
    # The square of 8 x 8 has moved by 2, 4 and 6 pixels in the three frames that count.
    j = np.mean([8 * (8 - moved) / (8 * (8 + moved)) for moved in (2, 4, 6)])
    cells = [cell.strip() for cell in benchmark.row("copy", None, sequences).split("|")]
    assert cells[1] == "copy"
    assert float(cells[3]) == pytest.approx(j, abs=0.0006)
    for view in ("auto", "follow", "1.0"):
        tracker = benchmark.Tracker(segmenter, 1, view)
        cells = [cell.strip() for cell in benchmark.row(view, tracker, sequences).split("|")]
        assert cells[2:7] == ["1.000"] * 5
        assert float(cells[7]) > 0


def test_sequences_without_masks_are_named(benchmark: ModuleType, data: Path) -> None:
    assert len(benchmark.find_sequences(data, frames=3)[0].images) == 3
    (data / "masks" / "left" / "00003.png").unlink()
    assert len(benchmark.find_sequences(data, frames=3)[0].images) == 3
    with pytest.raises(InputError, match=r"00003\.png: no such file"):
        benchmark.find_sequences(data)
    with pytest.raises(InputError, match="no sequences"):
        benchmark.find_sequences(data / "masks")


def test_a_real_object_is_followed(benchmark: ModuleType, shared_data: Path) -> None:
    sequences = benchmark.find_sequences(shared_data / "video-davis", frames=7)
    horse = next(each for each in sequences if each.name == "horsejump-high")
    backbone = Segmenter("seggpt-small", "cpu")
    values = {}
    for view in ("auto", "whole"):
        cells = benchmark.row(view, benchmark.Tracker(backbone, 1, view), [horse]).split("|")
        values[view] = float(cells[2])
    assert values["auto"] > 0.55
    assert values["auto"] > values["whole"] + 0.1
