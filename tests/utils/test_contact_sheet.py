"""Pictures keep their pixels where they are laid out."""

import numpy as np
import pytest
from PIL import ImageFont

from prompttune.utils.contact_sheet import INK, Written, beside, fit, grid, shorten


def flat(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_cells_are_as_large_as_the_largest_picture() -> None:
    sheet = grid([[flat(4, 6, 10), flat(2, 2, 20)], [flat(4, 6, 30)]], 3, (1, 2, 3))
    assert sheet.shape == (2 * 4 + 3, 2 * 6 + 3, 3)
    assert (sheet[:4, :6] == 10).all()
    assert (sheet[1:3, 11:13] == 20).all(), "in the middle of its cell"
    assert (sheet[7:, :6] == 30).all()
    assert (sheet[4:7] == (1, 2, 3)).all()
    assert (sheet[7:, 9:] == (1, 2, 3)).all()
    assert (sheet == 20).all(2).sum() == 4


def test_sheets_beside_each_other_are_level() -> None:
    sheet = beside(flat(4, 2, 10), flat(2, 3, 20), 1, (0, 0, 0))
    assert sheet.shape == (4, 6, 3)
    assert (sheet[:2, 3:] == 20).all()
    assert not sheet[2:, 3:].any()


@pytest.mark.parametrize("shape", [(2, 4), (100, 50), (40, 40)])
def test_pictures_are_fitted_to_their_longer_side(shape: tuple[int, int]) -> None:
    checked = np.indices(shape).sum(0) % 2 * 255
    fitted = fit(np.repeat(checked[..., None], 3, 2).astype(np.uint8), 20)
    assert max(fitted.shape[:2]) == 20
    values = set(np.unique(fitted).tolist())
    assert values == {0, 255} if shape == (2, 4) else 0 < np.mean(list(values)) < 255


def test_text_is_cut_in_its_middle() -> None:
    font = ImageFont.load_default(12)
    assert shorten("short", 200, font) == "short"
    cut = shorten("a-very-long-name-of-an-image.png", 100, font)
    assert font.getlength(cut) <= 100
    assert cut.startswith("a-very")
    assert cut.endswith(".png")


def test_what_is_written_is_there() -> None:
    sheet = Written((120, 40), paper=(0, 0, 0))
    sheet.paste(flat(10, 10, 99), (100, 30))
    sheet.legend({"found": (255, 0, 0)}, (4, 20))
    sheet.text("ink", (4, 35))
    pixels = np.asarray(sheet.image)
    assert (pixels[30:, 100:110] == 99).all()
    assert (pixels[20, 8] == (255, 0, 0)).all()
    assert (pixels[30:, :40] == INK).all(2).any()
