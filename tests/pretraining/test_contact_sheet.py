"""A contact sheet shows the samples that it was given."""

import numpy as np
import torch
from PIL import Image

from prompttune.pretraining.contact_sheet import contact_sheet, write_sheet


class Samples:
    """Two kinds of samples: all of one color, the colors of the query hidden."""

    canvas, patch = 8, 4

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image = torch.full((3, 16, 8), 0.2 * (index + 1))
        masked = torch.zeros(8)
        masked[4:] = 1
        return {
            "image": image, "target": 1 - image, "masked": masked > 0,
            "seg_type": torch.tensor(index % 2),
        }  # fmt: skip


def test_rows_show_images_and_their_colors() -> None:
    sheet = contact_sheet(Samples(), 3, scale=1, columns=2)  # type: ignore[arg-type]
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] == 2 * 8 + 4
    row = sheet[:8, : (sheet.shape[1] - 4) // 2]
    assert (row[:, :4] == 0).all(), "semantic: a black bar"
    shown = set(np.unique(row[:, 4:12]).tolist())
    assert shown == {51}
    assert set(np.unique(row[:, 16:24]).tolist()) == {204}
    hidden = row[:, 40:48]
    assert len(np.unique(hidden)) > 1, "hatched"


def test_the_file_appears_whole(tmp_path) -> None:
    write_sheet(Samples(), 2, tmp_path / "new" / "sheet.png")  # type: ignore[arg-type]
    (path,) = (tmp_path / "new").iterdir()
    with Image.open(path) as sheet:
        assert sheet.height == 8 * 16
