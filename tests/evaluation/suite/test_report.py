""""""

import json

import pytest
from suite_scores import content as content
from suite_scores import rows

from prompttune.evaluation.suite.report import (
    CSV,
    PNG,
    TRIALS,
    format_value,
    open_record,
    render_text,
    set_table,
    summarize,
    verdicts,
    write_curve,
    write_scores,
)
from prompttune.utils.errors import InputError


def result(*dice: float | None) -> dict:
    return {"dice": list(dice), "iou": [0.5] * len(dice), "examples": 1, "seconds": 0.25}


def test_means_are_over_images_then_classes_then_choices():
    found = summarize(
        "dice",
        [
            ("one-shot", "hood", 0, result(0.2, 0.4, None)),
            ("one-shot", "wheel", 0, result(0.5)),
            ("one-shot", "hood", 1, result(0.6)),
            ("one-shot", "wheel", 1, result(0.8)),
            ("all-foreground", "hood", 0, result(None)),
        ],
    )
    one = found["one-shot"]
    assert one["choices"] == [0.4, 0.7]  # (.3 + .5) / 2 and (.6 + .8) / 2
    assert one["mean"] == 0.55
    assert one["sd"] == pytest.approx(0.2121, abs=1e-4)  # .3 / sqrt 2
    assert one["problems"] == {"hood": 0.45, "wheel": 0.65}
    assert (found["all-foreground"]["mean"], found["all-foreground"]["sd"]) == (None, None)


def test_verdicts_count_sets():
    sets = {
        "a": rows(one_shot=0.6, feature=0.7, all_foreground=0.2, nearest_color=0.4),
        "b": rows(one_shot=0.5, feature=0.5, all_foreground=0.1, nearest_color=0.4),
        "c": rows(one_shot=0.3, all_foreground=0.4, nearest_color=0.1),
        "d": rows(one_shot=0.3, feature=None),
    }
    bar, ensemble = verdicts(sets)
    assert "in 2 of 3 sets" in bar
    assert "more in 1." in bar  # .6 is 1.5 times .4
    assert "in 1 of 2 sets" in ensemble
    assert verdicts({"d": rows(one_shot=0.3)}) == []


def test_values_are_short():
    assert format_value({"mean": 0.1234, "sd": 0.0456}) == ".123 ± .046"
    assert format_value({"mean": 1.0, "sd": None}) == "1.000"
    assert format_value({"mean": None, "sd": None}) == format_value(None) == "-"
    video = rows(one_shot=0.5) | {"metric": "iou", "scale": None}
    assert set_table({"v": video}, ["one-shot"])[1] == ["v (J)", "whole", ".500 ± .010"]
    assert set_table({"a": rows(one_shot=0.5)}, ["one-shot", "feature"]) == [
        ["set", "scale", "one-shot", "feature"],
        ["a", "0.5", ".500 ± .010", "-"],
    ]


def test_a_record_keeps_what_was_scored_and_drops_a_line_that_was_cut(tmp_path):
    with open_record(tmp_path / "run", resume=False) as record:
        record.add("one", result(0.25))
        record.add("two", result(None))
    path = tmp_path / "run" / TRIALS
    path.write_text(path.read_text() + '["three", {"dice": [0.1]')

    with open_record(tmp_path / "run", resume=True) as resumed:
        assert resumed.results == {"one": result(0.25), "two": result(None)}
        resumed.add("four", result(0.5))
    assert [json.loads(line)[0] for line in path.read_text().splitlines()] == ["one", "two", "four"]
    with pytest.raises(InputError, match="add --resume"), open_record(tmp_path / "run", False):
        pass
    (tmp_path / "run" / "scores.json").write_text("{}")  # it was finished
    with open_record(tmp_path / "run", resume=False):
        pass
    assert path.read_text() == ""


def test_a_record_takes_no_folder_of_others(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for path, said in ((tmp_path, "not empty"), (tmp_path / "thesis.tex", "is a file")):
        with pytest.raises(InputError, match=said), open_record(path, resume=False):
            pass


def test_what_is_written_can_be_read(content, tmp_path):
    write_scores(tmp_path, content)
    assert json.loads((tmp_path / "scores.json").read_text()) == content
    text = (tmp_path / "scores.md").read_text()
    assert text == render_text(content)
    assert "| cracks | 0.5 | .500 ± .010 | .750 ± .010 |" in text
    assert "```sh\npython -m prompttune.evaluate\n```" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.json", "scores.md"]


def test_a_curve_is_ordered_by_samples(content, tmp_path):
    write_curve(tmp_path, content)
    lines = (tmp_path / CSV).read_text().splitlines()
    assert lines[1] == "1000,early,cracks,one-shot,0.1,0.01"
    assert lines[3] == "100000,late,cracks,one-shot,0.5,0.01"
    assert (tmp_path / PNG).read_bytes().startswith(b"\x89PNG")
