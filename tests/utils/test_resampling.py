"""Rows that are resized by themselves are those of the whole picture."""

import pytest
import torch
import torch.nn.functional as F

from prompttune.utils.resampling import resize_columns, resize_rows, rows_needed


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("size", "wanted"), [(100, 37), (100, 50), (37, 100), (60, 61), (48, 48)])
def test_rows_are_those_of_the_whole(mode: str, size: int, wanted: int) -> None:
    whole = torch.rand(2, size, 30, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(whole[None], (wanted, 17), mode=mode, antialias=True)[0]
    for top in range(0, wanted, 9):
        rows = top, min(top + 9, wanted)
        first, last = rows_needed(rows, size, wanted, mode)
        assert 0 <= first < last <= size
        narrow = resize_columns(whole[:, first:last], 17, mode)
        found = resize_rows(narrow, first, rows, size, wanted, mode)
        torch.testing.assert_close(found, expected[:, rows[0] : rows[1]], atol=1e-5, rtol=0)
