""""""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from hostile import HOSTILE, Faults
from PIL import Image

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.comparison import Bench, compare
from prompttune.evaluation.report import Comparison, as_scores, describe, headline, write_report
from prompttune.evaluation.rows import ROWS
from prompttune.prompts.palette import Palette

FIELDS = ["mode", "prompts", "dice", "dice_sd", "iou", "auc", "cldice", "seconds_per_image"]


@pytest.fixture
def comparison(fakes) -> Comparison:
    """A comparison in which a name needs escaping and an image's AUC is not defined."""
    hard = fakes.make_sample(fakes.TEST, 1)
    test = [
        fakes.make_sample(fakes.TEST, 0, size=0),
        LoadedSample('<b>a "name"/..&', hard.image, hard.class_map, hard.class_map < 9),
    ]
    segmenter = fakes.FakeSegmenter(lambda numbers, part: 40 if numbers else 5)
    bench = Bench(
        segmenter,
        fakes.make_key(),
        fakes.CANVAS,
        train=[fakes.make_sample(fakes.TRAIN, number) for number in range(10, 16)],
        validation=[fakes.make_sample(fakes.VALIDATION, 0)],
        test=test,
    )
    return Comparison(
        task="retina",
        backbone="fake",
        data="folder",
        split="test",
        palette=bench.key.palette,
        rows=compare(bench, ROWS),
        samples=test,
        notices=("These images are <generated>.",),
        details={"command": "python -m prompttune.compare --task retina"},
    )


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_json_has_the_fields_that_readers_rely_on(comparison, tmp_path):
    write_report(tmp_path, comparison)
    content = json.loads((tmp_path / "comparison.json").read_text())

    assert list(content)[:5] == ["task", "backbone", "data", "split", "rows"]
    assert [row["mode"] for row in content["rows"]] == list(ROWS)
    for row in content["rows"]:
        assert list(row)[: len(FIELDS)] == FIELDS
        assert 0 <= row["dice"] <= 1
        assert row["seconds_per_image"] >= 0
    by_mode = {row["mode"]: row for row in content["rows"]}
    assert by_mode["tuned"]["dice_sd"] is None
    assert by_mode["one-shot"]["dice_sd"] == 0
    assert len(by_mode["one-shot"]["trials"]) == 5
    images = by_mode["tuned"]["trials"][0]["images"]
    assert list(images) == [sample.name for sample in comparison.samples]
    assert images["52-0"]["auc"] is None
    assert images["52-0"]["dice"] == 1


def test_values_are_means_over_images(comparison):
    tuned = next(row for row in describe(comparison)["rows"] if row["mode"] == "tuned")
    # An empty image answered with nothing, and one with 5 of 100 pixels missed.
    assert tuned["dice"] == pytest.approx((1 + 190 / 195) / 2, abs=1e-6)
    assert tuned["iou"] == pytest.approx((1 + 0.95) / 2, abs=1e-6)


def test_the_page_needs_no_network_and_its_links_exist(comparison, tmp_path):
    write_report(tmp_path, comparison)
    html = (tmp_path / "index.html").read_text()
    links = Links()
    links.feed(html)

    assert not re.search(r"https?:|//|url\(|@import|<script|<link", html)
    assert links.tags.count("img") == 2
    for link in links.found:
        assert (tmp_path / unquote(link)).is_file()
    assert "<b>" not in html
    assert "&lt;b&gt;a" in html
    assert "These images are &lt;generated&gt;." in html
    assert "python -m prompttune.compare --task retina" in html


def test_names_of_files_and_classes_stay_names(comparison, tmp_path):
    named = [replace(each, name=f"{HOSTILE}{n}") for n, each in enumerate(comparison.samples)]
    palette = Palette((HOSTILE,), comparison.palette.colors)
    hostile = replace(comparison, task=HOSTILE, data=HOSTILE, samples=named, palette=palette)
    write_report(tmp_path, hostile)
    faults = Faults((tmp_path / "index.html").read_text())
    assert not faults.found
    assert HOSTILE in faults.text
    assert {path.parent for path in tmp_path.rglob("*.png")} <= {tmp_path, tmp_path / "pictures"}


def test_the_headline_says_the_gain(comparison):
    dice = {row.mode: row.mean.dice for row in comparison.rows}
    text = headline(comparison.rows)
    assert f"{dice['tuned']:.3f}" in text
    assert f"{dice['tuned'] - dice['one-shot']:.3f} above the mean of 5 examples" in text
    assert headline([row for row in comparison.rows if row.mode != "tuned"]) == ""


def test_one_picture_an_image_shows_four_panels(comparison, tmp_path):
    write_report(tmp_path, comparison)
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert len(pictures) == 2
    for path in pictures:
        with Image.open(path) as picture:
            panel = (picture.width - 6) // 4
            assert picture.format == "PNG"
            assert panel >= 320
            centers = [
                picture.getpixel((6 + panel * i + 15, picture.height - 20)) for i in range(4)
            ]
        assert centers[1:] == [(0, 0, 0)] * 3
        assert centers[0] != (0, 0, 0)


def test_a_comparison_of_other_rows_has_pictures_too(comparison, tmp_path):
    rows = [row for row in comparison.rows if row.mode == "nearest-color"]
    write_report(
        tmp_path, Comparison("t", "b", "d", "test", comparison.palette, rows, comparison.samples)
    )
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_images_that_show_nothing_are_told_of() -> None:
    from types import SimpleNamespace as Some

    from prompttune.evaluation.report import about_empty

    def sample(shown: int) -> Some:
        return Some(class_map=np.full((2, 2), shown, np.uint8))

    images = [Some(dice=1.0), Some(dice=0.25), Some(dice=0.75)]
    row = Some(mode="tuned", trials=[Some(images=images)])
    told = about_empty(Some(samples=[sample(0), sample(1), sample(1)], rows=[row]))  # type: ignore[arg-type]
    assert "1 of 3 images show no class" in told[0]
    assert "tuned 0.500" in told[0]
    assert not about_empty(Some(samples=[sample(1)] * 3, rows=[row]))  # type: ignore[arg-type]


def test_a_card_takes_any_command(comparison):
    """One that names 150 classes, or odd letters, must not end a tuning that is done."""
    command = "python -m prompttune.fit --classes " + ",".join(f"class-{n}\n" for n in range(150))
    scores = as_scores(replace(comparison, details={"command": command}))
    assert len(scores.command) == 1000
    assert scores.command.startswith("python -m prompttune.fit --classes class-0?,")
    assert scores.command.endswith(" ...")
    plain = as_scores(comparison).command
    assert plain == comparison.details["command"]
