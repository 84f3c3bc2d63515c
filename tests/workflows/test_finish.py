"""From a learned prompt to a key: what a card calls a start."""

from typing import get_args, get_type_hints

from prompttune.keys.card import Initialization
from prompttune.tasks.recipe import Recipe
from prompttune.workflows.finish import INIT_KINDS


def test_every_start_of_a_recipe_has_a_kind_that_a_card_knows() -> None:
    starts = get_args(get_type_hints(Recipe)["init"])
    assert set(INIT_KINDS) == set(starts)
    for start, kind in INIT_KINDS.items():
        real = start in ("example", "best-example", "mean", "mosaic")
        assert Initialization(kind=kind, contains_real_image=real).kind == kind
        assert (kind == "example") is real
