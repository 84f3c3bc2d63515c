"""The card: what is required, what is refused, and that later fields survive."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from prompttune.keys.card import FEATURES, Card, Scores, Tuning, read_json, write_json
from prompttune.utils.errors import InputError

REQUIRED = ["format_version", "name", "task", "classes", "prompts", "backbone", "canvas", "scale"]
REQUIRED += ["normalisation", "seg_type", "threshold", "initialisation", "recipe", "data", "scores"]
REQUIRED += ["licence", "library_version", "date"]
SPECIFICATION = Path(__file__).parents[2] / "docs" / "key-format.md"
KEY = Path("zoo/retina/prompt.safetensors")


@pytest.fixture
def card(make: Callable[..., Any]) -> Card:
    scores = {"data": "drive", "split": "test", "command": "compare", "rows": []}
    _, card = make(scores=[Scores.model_validate(scores)])
    return card


@pytest.fixture
def raw(card: Card) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(write_json(card))
    return fields


def read(raw: dict[str, Any]) -> Card:
    return read_json(json.dumps(raw), KEY)


def refused(raw: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read(raw)
    assert str(caught.value).isprintable()
    assert str(KEY) in str(caught.value)


def test_round_trip(card: Card) -> None:
    assert read_json(write_json(card), KEY) == card
    assert json.loads(write_json(card))["date"] == "2026-01-31T12:00:00Z"


def test_the_same_text_whatever_the_order(make: Callable[..., Any]) -> None:
    _, one = make(recipe={"a": 1, "b": {"c": 2, "d": 3}})
    _, other = make(recipe={"b": {"d": 3, "c": 2}, "a": 1})
    assert write_json(one) == write_json(other)


@pytest.mark.parametrize("field", REQUIRED)
def test_missing_field_is_named(raw: dict[str, Any], field: str) -> None:
    del raw[field]
    refused(raw, f"card field '{field}': Field required")


def test_required_fields_are_those_of_the_specification() -> None:
    table = SPECIFICATION.read_text().split("**Required** fields")[1].split("**Optional**")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == REQUIRED


def test_features_are_those_of_the_specification() -> None:
    (listed,) = re.findall(r"Defined so far: (.+)\.", SPECIFICATION.read_text())
    assert set(re.findall(r"`(\w+)`", listed)) == FEATURES


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("canvas",), "128"),
        (("canvas",), 0),
        (("canvas",), 5000),
        (("prompts",), 0),
        (("prompts",), 1.5),
        (("name",), "../x"),
        (("name",), "retina\n"),
        (("task",), "re\x1b[2Jtina"),
        (("task",), " "),
        (("threshold",), 1.5),
        (("scale",), 0),
        (("scale",), "0.5"),
        (("seg_type",), 2),
        (("seg_type",), True),
        (("classes",), []),
        (("classes", 0, "colour"), [0, 0, 256]),
        (("classes", 0, "colour"), [0, 0]),
        (("backbone", "fingerprint"), None),
        (("normalisation", "mean"), [0.5, 0.5]),
        (("initialisation", "kind"), "pickle"),
        (("data", "sha256"), "0" * 63),
        (("data", "train"), -1),
        (("scores", 0, "rows"), [{"mode": "tuned", "dice": 1.1, "iou": None}]),
        (("scores", 0, "rows"), [{"mode": "tuned", "dice": 0.5}]),
        (("date",), "2026-01-31T12:00:00"),
        (("date",), "yesterday"),
        (("recipe",), []),
        (("format_version",), 0),
        (("required_features",), "all"),
    ],
)
def test_wrong_value_is_named(raw: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    place: Any = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    refused(raw, f"card field '{path[0]}")


def test_a_card_of_the_first_version_is_read_and_written_as_it_was(raw: dict[str, Any]) -> None:
    for later in ("groups", "calibration", "zoomed", "domain", "kept_tokens", "companion"):
        raw.pop(later, None)
    raw["recipe"] = {"colour_weight": 0.2, "learn": "colours", "mask_kind": "grey"}
    assert read(raw).recipe == raw["recipe"]
    written = json.loads(write_json(read(raw)))
    assert {name: written[name] for name in raw} == raw


def test_newer_version_says_update_before_all_else(raw: dict[str, Any]) -> None:
    refused({"format_version": 2}, "version 2 is newer than 1.*update prompttune")


def test_unknown_required_feature(raw: dict[str, Any]) -> None:
    raw["required_features"] = ["video-memory"]
    refused(raw, "requires 'video-memory'.*update prompttune")


def test_later_fields_are_kept_at_every_level(raw: dict[str, Any]) -> None:
    raw["later"] = {"x": [1, None]}
    raw["backbone"]["later"] = 1
    raw["classes"][1]["later"] = "x"
    raw["scores"][0]["rows"] = [{"mode": "tuned", "dice": 0.5, "iou": None, "later": 7.5}]
    row = json.loads(write_json(read(raw)))["scores"][0]["rows"][0]
    assert row["later"] == 7.5
    again = json.loads(write_json(read(raw)))
    raw["scores"], again["scores"] = [], []
    assert again == raw


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": NaN}', '{"a": Infinity}', "[" * 200_000, '"\\ud800'[:-1]]
)
def test_not_a_json_object(text: str) -> None:
    with pytest.raises(InputError, match="card is not"):
        read_json(text, KEY)


def test_lone_surrogates_cannot_enter(raw: dict[str, Any]) -> None:
    raw["recipe"] = {"file": "\ud800"}
    refused(raw, "card")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": [{"name": "a", "colour": [9, 99, 9]}] * 2}, "distinct names"),
        (
            {"classes": [{"name": n, "colour": [9, 99, 9]} for n in "ab"]},
            "distinct colors",
        ),
        ({"classes": [{"name": "a", "colour": [18, 18, 18]}]}, "background's black"),
        ({"initialisation": {"kind": "noise", "contains_real_image": True}}, "only kind 'example'"),
        (
            {"initialisation": {"kind": "example", "contains_real_image": False}},
            "an example of real data is a real image",
        ),
    ],
)
def test_contradictions(raw: dict[str, Any], change: dict[str, Any], match: str) -> None:
    refused(raw | change, match)


def test_an_example_of_generated_data_is_no_real_image(raw: dict[str, Any]) -> None:
    raw["data"]["generated"] = True
    raw["initialisation"] = {"kind": "example", "contains_real_image": False}
    assert not read(raw).initialisation.contains_real_image


def grouped(raw: dict[str, Any], **change: Any) -> dict[str, Any]:
    """Share the two classes and two images of the card among two groups."""
    groups = {"groups": [{"classes": 1, "prompts": 1}] * 2, "required_features": ["groups"]}
    return raw | groups | change


def test_groups_have_the_next_classes_and_images(raw: dict[str, Any]) -> None:
    assert [(len(c), n) for c, n in read(raw).grouped()] == [(2, 2)]
    raw["classes"][1]["colour"] = raw["classes"][0]["colour"]  # another group's
    assert [([c.name for c in classes], n) for classes, n in read(grouped(raw)).grouped()] == [
        (["vessel"], 1),
        (["disc"], 1),
    ]
    many = {"prompts": 128, "groups": [{"classes": 1, "prompts": 64}] * 2, "canvas": 128}
    assert [n for _, n in read(grouped(raw, **many)).grouped()] == [64, 64]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"groups": [{"classes": 2, "prompts": 1}] * 2}, "classes must be all"),
        ({"groups": [{"classes": 1, "prompts": 2}] * 2}, "prompts must be all"),
        ({"groups": [{"classes": 2, "prompts": 2}]}, "card field 'groups'"),
        ({"groups": [{"classes": 1, "prompts": n} for n in (65, 1)], "prompts": 66},
         r"card field 'groups\.0\.prompts': must be a whole number 1 to 64"),
        ({"groups": [{"classes": 0, "prompts": 1}] * 2}, r"card field 'groups\.0\.classes'"),
        ({"required_features": []}, "go together"),
        ({"groups": None}, "go together"),
        ({"classes": [{"name": n, "colour": [9, 99, 9]} for n in "ab"], "groups": None,
          "required_features": []}, "distinct colors"),
    ],
)  # fmt: skip
def test_groups_that_do_not_add_up(raw: dict[str, Any], change: dict[str, Any], match: str) -> None:
    refused(grouped(raw, **change), match)


def test_tuning_says_precision_and_seconds(raw: dict[str, Any]) -> None:
    assert read(raw).tuning is None
    read_back = read(raw | {"tuning": {"precision": "bf16", "seconds": 61.5}}).tuning
    assert read_back == Tuning(precision="bf16", seconds=61.5)
    for wrong in ({"precision": "fp8", "seconds": 1}, {"precision": "bf16", "seconds": -1}):
        refused(raw | {"tuning": wrong}, "card field 'tuning")


def test_several_errors_are_one_line(raw: dict[str, Any]) -> None:
    raw["canvas"], raw["prompts"], raw["task"] = "x", "y", 3
    refused(raw, r"\(and 2 more\)")


def test_of_takes_what_the_prompt_knows(make: Callable[..., Any]) -> None:
    prompt, card = make(prompts=3, size=8, patch=4, recipe={"file": Path("a/b"), "size": (1, 2)})
    assert (card.prompts, card.canvas, card.patch, card.scale) == (3, 8, 4, 0.5)
    assert (card.name, card.seg_type, card.threshold) == ("retina", 1, 0.4)
    assert card.backbone.fingerprint == prompt.fingerprint
    assert [(c.name, c.colour) for c in card.classes] == [
        ("vessel", (255, 255, 255)),
        ("disc", (255, 0, 17)),
    ]
    assert card.normalisation.mean == (0.485, 0.456, 0.406)
    assert card.recipe == {"file": "a/b", "size": [1, 2]}


def test_of_refuses_what_no_card_may_hold(make: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="key 'retina': card field 'licence'"):
        make(licence="")


def test_date_is_utc_in_whole_seconds(make: Callable[..., Any]) -> None:
    zone = timezone(timedelta(hours=2))
    _, card = make(date=datetime(2026, 5, 1, 1, 30, 7, 5, tzinfo=zone))
    assert json.loads(write_json(card))["date"] == "2026-04-30T23:30:07Z"


def test_with_scores_replaces_the_same_measurement_only(card: Card) -> None:
    def scores(split: str, dice: float) -> Scores:
        row = {"mode": "tuned", "dice": dice, "iou": 0.1}
        fields = {"data": "drive", "split": split, "command": "compare", "rows": [row]}
        return Scores.model_validate(fields)

    more = card.with_scores(scores("val", 0.5)).with_scores(scores("test", 0.6))
    assert [s.split for s in more.scores] == ["val", "test"]
    again = more.with_scores(scores("val", 0.7))
    assert [(s.split, s.rows[0].dice) for s in again.scores] == [("test", 0.6), ("val", 0.7)]
    assert again.own_dice() == 0.7
    assert card.own_dice() is None


def test_score_table_leaves_out_empty_columns() -> None:
    rows = [
        {"mode": "one-shot", "dice": 0.25, "iou": 0.125, "dice_sd": 0.05},
        {"mode": "tuned", "dice": None, "iou": 0.5, "prompts": 1},
    ]
    scores = Scores.model_validate({"data": "d", "split": "s", "command": "c", "rows": rows})
    assert scores.table() == (
        ["mode", "prompts", "dice", "dice_sd", "iou"],
        [["one-shot", "-", "0.250", "0.050", "0.125"], ["tuned", "1", "-", "-", "0.500"]],
    )
