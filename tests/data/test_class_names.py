"""Names of classes as people list them."""

import pytest

from prompttune.data.class_names import class_names
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("first", ["background", "BG", " _background_ "])
def test_the_background_may_be_listed_first(first: str) -> None:
    assert class_names([first, " crack", "pothole "]) == ("crack", "pothole")


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["crack", ""], "every class needs a name"),
        (["crack", "background"], "is value 0 and no class"),
        (["background"], "the background alone is no class"),
        ([], "the background alone is no class"),
    ],
)
def test_lists_that_name_no_classes(names: list[str], line: str) -> None:
    with pytest.raises(InputError, match=line):
        class_names(names)
