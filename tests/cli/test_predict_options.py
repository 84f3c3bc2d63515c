"""Options of `predict`: what they stand for, and which are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from predicting import arguments, fails
from predicting import backbone as backbone
from predicting import folder as folder

from prompttune.cli import predict
from prompttune.inference.quality import BEST, FAST, Quality
from prompttune.utils.errors import InputError


def test_a_scale_that_is_none_is_refused(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = fails(arguments(folder, backbone, "--scale", "fine"), capsys)
    assert "'fine' is neither a number, auto nor whole" in said
    assert "scale 0: must be" in fails(arguments(folder, backbone, "--scale", 0), capsys)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["--quality", "fast"], FAST),
        (["--quality", "best"], BEST),
        (["--quality", "best", "--overlap", "0.3"], replace(BEST, overlap=0.3)),
        (["--quality", "best", "--zooms", "1,2"], replace(BEST, zooms=(1.0, 2.0))),
        ([], Quality(0.25, False)),
    ],
)
def test_quality_stands_for_overlap_flips_and_zooms(
    folder: Path, backbone: Path, line: list[str], expected: Quality
) -> None:
    given = predict.parse(arguments(folder, backbone, *line))
    assert Quality(given.overlap, given.flips, given.zooms) == expected


def test_zooms_that_are_no_numbers(folder: Path, backbone: Path) -> None:
    with pytest.raises(InputError, match="'1;2' are not numbers with commas"):
        predict.parse(arguments(folder, backbone, "--zooms", "1;2"))


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--prompt", "a", "--prompt", "b"), "takes one key"),
        (("--prompt", "a", "--flips"), "go with IMAGES"),
        (("--pool", "p", "--select", "nearest"), "one prompt for all frames"),
        (
            ("--prompt", "a", "--memory_frames", "-1"),
            "--memory_frames -1: must be a whole number 0 to 64",
        ),
        ((), "one of the arguments --prompt --example"),
    ],
)
def test_what_a_video_cannot_have_is_refused(more: tuple[str, ...], line: str) -> None:
    with pytest.raises(InputError, match=line):
        predict.main(["--video", "a.mp4", "--output", "o", *more])


def test_an_image_that_is_a_url_is_told_so(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["https://example.org/eye.png", *arguments(folder, backbone)[1:]]
    said = fails(line, capsys, code=2)
    assert "is a URL; download the file first" in said


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--scale", "-1"), "--scale -1: must be"),
        (("--scale", "300"), "--scale 300: must be 0.0001 to 64; "),
        (("--scale", "1e6"), "--scale 1e+06: must be"),
        (("--scale", "nan"), "--scale nan: must be"),
        (("--overlap", "0.9999"), "--overlap 0.9999: must be 0 to 0.9"),
        (("--min_area", "-3"), "--min_area -3: must be"),
        (("--overlap", "1"), "--overlap 1: must be"),
        (("--overlap", "much"), "argument --overlap: invalid float value: 'much'"),
        (("--classes", "a"), "mask holds values 0, 1, 2"),
        (("--classes", "a,a"), "names used twice: a"),
        (("--device", "tpu"), "argument --device: invalid choice: 'tpu'"),
        (("--backbone", "seggpt-smal"), "seggpt-smal"),
    ],
)
def test_bad_options_end_in_one_line(
    folder: Path,
    backbone: Path,
    more: tuple[str, ...],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = fails(arguments(folder, backbone, *more), capsys)
    assert line in said
    assert said.count("\n") == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["a.png", "--output", "o"], "one of the arguments --prompt --example --pool is required"),
        (["a.png", "--prompt", "retina"], "the following arguments are required: --output"),
        (["--prompt", "retina", "--output", "o"], "give IMAGES or --video FILE"),
        (["a.png", "--prompt", "retina", "--output", "o", "--scale", "1"], "go with --example"),
    ],
)
def test_incomplete_lines_are_refused(line: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        predict.main(line)
