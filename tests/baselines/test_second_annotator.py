from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.baselines.second_annotator import observed_scores, second_masks
from prompttune.utils.errors import InputError


def test_second_masks_are_found_by_stem(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert second_masks(tmp_path / "images") == {}
    (tmp_path / "masks_2nd").mkdir()
    mask = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    palette = Image.fromarray(mask)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "masks_2nd" / "05.png")
    (tmp_path / "masks_2nd" / "notes.txt").write_text("no mask")
    found = second_masks(tmp_path / "images")
    assert set(found) == {"05"}
    np.testing.assert_array_equal(observed_scores(found["05"], 1, (2, 3)), mask[None])
    with pytest.raises(InputError, match="3 x 2, its image 5 x 4"):
        observed_scores(found["05"], 1, (4, 5))
