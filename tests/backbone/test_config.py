"""Sizes: which do not fit each other, and that they come back from JSON as they were."""

import json

import pytest
from one_way_oracle import EXTRAS, small

from prompttune.backbone import SegGPTConfig
from prompttune.utils.errors import InputError

NEW = ("one_way", "apart", "class_token", "match_taps", "image_taps", "pixel_dim")
FAULTS = {
    "apart alone": ({"one_way": False, "merge_index": 0}, "apart ask for one_way=True"),
    "all alone": (
        {"one_way": False, "class_token": True, "pixel_dim": 2},
        "apart and class_token and pixel_dim ask for one_way=True",
    ),
    "matching alone": (
        {"one_way": False, "apart": 0, "match_indices": [0]},
        r"match_indices=\(0,\) must rise and lie below apart=0",
    ),
    "match tap beyond": ({"match_indices": [1, 3]}, r"match_indices=\(1, 3\) .* below apart=3"),
    "match indices fall": ({"match_indices": [2, 1]}, r"match_indices=\(2, 1\) must rise"),
    "image tap beyond": ({"image_indices": [3]}, r"image_indices=\(3,\) .* below apart=3"),
    "image tap negative": ({"image_indices": [-1, 0]}, r"image_indices=\(-1, 0\)"),
    "image tap twice": ({"image_indices": [0, 0]}, r"image_indices=\(0, 0\)"),
    "tap in the apart blocks": (
        {"out_indices": [2, 4]}, r"out_indices=\(2, 4\) .* 3\.\.5 \(apart\.\.",
    ),
    "tap beyond": ({"out_indices": [6]}, r"out_indices=\(6,\)"),
    "negative apart": ({"apart": -1}, "apart=-1 is not in 0"),
    "fraction apart": ({"apart": 2.5}, "apart=2.5 is not in 0"),
    "negative pixels": ({"pixel_dim": -1}, "pixel_dim -1: must be a whole number 0 to"),
    "half a pixel": ({"pixel_dim": 0.5}, "pixel_dim 0.5: must be a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_sizes_that_do_not_fit_are_refused(fault: str) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(InputError, match=message):
        small(**changes)


@pytest.mark.parametrize("extras", EXTRAS)
def test_comes_back_from_json(extras: str) -> None:
    config = small(**EXTRAS[extras])
    assert SegGPTConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_files_from_before_the_one_way_layout_are_read() -> None:
    config = SegGPTConfig(canvas=16, patch=4, dim=8, depth=4, heads=2, out_indices=(2, 3))
    values = {name: value for name, value in config.to_dict().items() if name not in NEW}
    assert len(values) == len(config.to_dict()) - len(NEW)
    assert SegGPTConfig.from_dict(json.loads(json.dumps(values))) == config


def test_files_know_some_fields_by_the_names_of_the_first_version() -> None:
    config = SegGPTConfig(canvas=16, patch=4, dim=8, depth=4, heads=2, out_indices=(2, 3))
    assert config.to_dict()["taps"] == [2, 3]
    assert not {"out_indices", "merge_index"} & config.to_dict().keys()


def test_sizes_are_taken_by_the_names_of_the_first_version_with_a_warning() -> None:
    sizes = {"canvas": 16, "patch": 4, "dim": 8, "depth": 4, "heads": 2}
    with pytest.warns(DeprecationWarning, match="SegGPTConfig: taps is called out_indices now"):
        config = SegGPTConfig(**sizes, taps=(2, 3))
    with pytest.warns(DeprecationWarning, match="the next version forgets merge_block"):
        assert SegGPTConfig(**sizes, out_indices=(2, 3), merge_block=2) == config
    with pytest.warns(DeprecationWarning, match="SegGPTConfig: taps"):
        assert config.taps == (2, 3)
    with pytest.warns(DeprecationWarning, match="SegGPTConfig: merge_block"):
        assert config.merge_block == 2


def test_sizes_under_both_of_their_names_are_refused() -> None:
    with pytest.raises(InputError, match="taps is the old name of out_indices; give one of the"):
        SegGPTConfig.from_dict({"taps": [2, 3], "out_indices": [1, 3]})
