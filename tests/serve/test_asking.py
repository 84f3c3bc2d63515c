"""Parameters of a request."""

import pytest
from pydantic import ValidationError
from serving import make_network  # noqa: F401 (skips where the extra is missing)

from prompttune.serve.asking import Ask, sentence
from prompttune.serve.limits import Refused


@pytest.mark.parametrize(
    ("text", "scale"), [("auto", "auto"), ("whole", "whole"), ("0.5", 0.5), ("2", 2.0)]
)
def test_scales_are_those_of_python(text: str, scale: object) -> None:
    assert Ask(scale=text).scale_of_examples() == scale


@pytest.mark.parametrize(
    ("given", "said"),
    [({"scale": "-1"}, "scale: "), ({"overlap": "0.9"}, "overlap: input should be less than"),
     ({"format": "bmp"}, "format: "), ({"more": "1"}, "more: extra inputs")],
)  # fmt: skip
def test_the_first_wrong_parameter_is_named(given: dict, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Ask.model_validate(given)
    text = sentence(caught.value.errors())
    assert text.startswith(said)
    assert text.endswith(".")


def test_names_of_classes() -> None:
    assert Ask().names() is None
    assert Ask(classes="background,crack").names() == ("crack",)
    with pytest.raises(Refused, match="every class needs a name"):
        Ask(classes="a,,b").names()
