"""A run goes on only as it was begun."""

from pathlib import Path

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.resuming import check_same_run, differences, refuse_begun

RUN = {"recipe": {"lr": 0.1, "sizes": [1, 2]}, "max_steps": 10}


def test_a_folder_with_a_run_is_refused_unless_it_is_to_go_on() -> None:
    refuse_begun(Path("out"), begun=False, resume=False)
    refuse_begun(Path("out"), begun=True, resume=True)
    with pytest.raises(InputError, match=r"^out: .*--resume to go on, --overwrite"):
        refuse_begun(Path("out"), begun=True, resume=False)


def test_what_differs_is_named() -> None:
    check_same_run(Path("out"), RUN, {**RUN})
    other = {"recipe": {"lr": 0.2, "sizes": [1, 2], "new": 1}, "max_steps": 10}
    assert differences(RUN, other) == ["recipe.lr", "recipe.new"]
    with pytest.raises(InputError, match=r"other recipe\.lr, recipe\.new;"):
        check_same_run(Path("out"), RUN, other)


def test_another_length_says_what_it_changes() -> None:
    with pytest.raises(InputError, match=r"max_steps \(which also shapes the learning rate\)"):
        check_same_run(Path("out"), RUN, RUN | {"max_steps": 20})
