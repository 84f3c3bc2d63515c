"""What cannot stand in one ensemble is said in a line."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from prompttune.prompts.joining import check_joins
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError

PLANE = torch.zeros(3, 4, 4)
LEAD = Prompt((PLANE,), (PLANE,), Palette.of(["a", "b"]), scale=1.0, canvas=4, fingerprint="f" * 64)


def test_the_order_of_classes_does_not_matter() -> None:
    check_joins(replace(LEAD, fingerprint=None, palette=Palette.of(["b", "a"])), LEAD)


@pytest.mark.parametrize(
    ("changes", "line"),
    [({"palette": Palette.of(["a", "c"])}, "classes a, c and a, b"),
     ({"fingerprint": "e" * 64}, "backbones e{12} and f{12}"),
     ({"palette": Palette(("a", "b"), ((255, 0, 0), (0, 255, 0)))}, "colours"),
     ({"canvas": 8}, "canvases 8 and 4"), ({"scale": 2.0}, r"scales 2\.0 and 1\.0"),
     ({"seg_type": 1}, "type tokens 1 and 0"), ({"grid": True}, "grids")],
)  # fmt: skip
def test_what_differs_is_named(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        check_joins(replace(LEAD, **changes), LEAD)
