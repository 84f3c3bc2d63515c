"""What comes in with coordinates goes out with them."""

import numpy as np
import pytest

from prompttune.data.inputs import as_array
from prompttune.inference.result import Result, class_array
from prompttune.prompts.palette import Palette
from prompttune.utils.errors import InputError

xr = pytest.importorskip("xarray", reason="the package xarray is not here")

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
CLASSES = np.arange(20, dtype=np.uint8).reshape(5, 4)


def given(last: bool) -> "xr.DataArray":
    whole = xr.DataArray(
        PIXELS, dims=("band", "y", "x"), attrs={"crs": "EPSG:32633", "other": 1},
        coords={
            "band": [1, 2, 3], "y": np.linspace(9, 5, 5), "x": np.arange(4) * 0.5 + 7,
            "spatial_ref": 0, "wavelength": ("band", [0.6, 0.5, 0.4]),
        },
    )  # fmt: skip
    return whole.transpose("y", "x", "band") if last else whole


@pytest.mark.parametrize("last", [True, False])
def test_coordinates_are_kept(last: bool) -> None:
    image = given(last)
    assert np.array_equal(as_array(image, "image", ""), np.moveaxis(PIXELS, 0, -1))
    found = class_array(CLASSES, ("a", "b"), image)
    assert found.dims == ("y", "x")
    assert np.array_equal(found.values, CLASSES)
    assert set(found.coords) == {"y", "x", "spatial_ref"}
    assert float(found.sel(y=8, x=7.5)) == CLASSES[1, 1]
    assert found.attrs == {"classes": ["a", "b"], "crs": "EPSG:32633"}


def test_without_the_array_that_was_segmented() -> None:
    found = class_array(CLASSES, ("a",))
    assert (found.dims, dict(found.coords), found.name) == (("y", "x"), {}, "classes")


@pytest.mark.parametrize(
    ("like", "why"), [(PIXELS, "give the DataArray itself"), (given(True)[:2], "the answer")]
)
def test_what_does_not_fit(like: object, why: str) -> None:
    with pytest.raises(InputError, match=why):
        class_array(CLASSES, ("a",), like)


def test_a_result_made_by_hand_has_no_names() -> None:
    assert Palette.of(["a"]).classes == ("a",)
    with pytest.raises(InputError):
        Result(CLASSES, np.zeros((1, 5, 4), np.float32)).to_xarray()
