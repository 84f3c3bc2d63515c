"""One picture of labeled images."""

from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.samples import LoadedSample
from prompttune.outputs.drawing import WHITE_SHOWN_AS
from prompttune.workflows.contact_sheet import COLUMNS, GAP, SIDE, write_sheet


def sample(name: str) -> LoadedSample:
    class_map = np.zeros((40, 60), np.uint8)
    class_map[:20], class_map[30:] = 1, 255
    return LoadedSample(name, np.full((40, 60, 3), 90, np.uint8), class_map)


def test_images_stand_beside_their_masks(tmp_path: Path) -> None:
    write_sheet(tmp_path / "new" / "a.png", [sample("a"), sample("b" * 90)], ["crack"])
    with Image.open(tmp_path / "new" / "a.png") as opened:
        sheet = np.asarray(opened)
    assert sheet.shape[1] == 2 * (2 * SIDE + GAP) + 3 * GAP
    colors = {tuple(color) for color in np.unique(sheet.reshape(-1, 3), axis=0).tolist()}
    assert {(90, 90, 90), (128, 128, 128), WHITE_SHOWN_AS, (255, 255, 255)} <= colors
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_rows_are_as_long_as_said(tmp_path: Path) -> None:
    sizes = []
    for count in (COLUMNS, COLUMNS + 1):
        write_sheet(tmp_path / "a.png", [sample(str(n)) for n in range(count)], ["a", "b"])
        with Image.open(tmp_path / "a.png") as opened:
            sizes.append(opened.size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] > 1.7 * sizes[0][1]
