"""What predict refuses, and what it leaves behind when something fails."""

import os
from pathlib import Path

import pytest
from PIL import Image
from predicting import arguments, fails, line_of, written
from predicting import backbone as backbone
from predicting import folder as folder
from predicting import keys as keys
from predicting import pool as pool
from predicting import spied as spied

from prompttune.prompts.prompt import Prompt


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--prompt", "disc", "--prompt", "cup"), "disc and cup both have a class 'cup'"),
        (("--prompt", "foreign"), "prompt foreign: learned on the backbone"),
        (("--prompt", "vein", "--prompt", "foreign"), "prompt foreign: learned on the backbone"),
        (("--prompt", "vein", "--example", "eye.png", "mask.png"), "mask holds values 0, 1, 2"),
        (("--prompt", "vein", "--prompt", "cup", "--example", "eye.png", "mask.png"),
         "give one --prompt beside them"),
        (("--prompt", "vein", "--ensemble", "spatial"), "goes with --example"),
        (("--pool", "pool", "--shots", "4"), "pool has 3 images that show a class"),
        (("--pool", "pool", "--shots", "0"), "--shots 0"),
        (("--pool", "gone"), "gone: no such folder"),
        (("--pool", "pool", "--example", "eye.png", "mask.png"), "exclude each other"),
        (("--example", "eye.png", "gone.png"), "gone.png: no such file"),
        (("--example", "eye.png", "mask.png", "--instance_masks"), "and --instances"),
        (("--prompt", "vein", "--video", "a.mp4"), "give IMAGES or --video FILE"),
        (("--prompt", "vein", "--min_area", "0"), "--min_area 0: must be"),
    ],
)  # fmt: skip
def test_prompts_that_do_not_fit_end_in_one_line(
    folder: Path,
    backbone: Path,
    pool: Path,
    keys: dict[str, Prompt],
    more: tuple[str, ...],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    said = fails(line_of(folder, backbone, *more), capsys)
    assert line in said
    assert said.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_large_scale_is_refused_by_what_it_asks_of_an_image(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (1500, 1500)).save(folder / "images" / "d.png")
    said = fails(arguments(folder, backbone, "--scale", "64", images="images/d.png"), capsys)
    assert "at its scale the image has 9216000000 pixels, and 134217728 are allowed" in said


def test_links_to_themselves_end_in_one_line(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = folder / "loop.png"
    loop.symlink_to(loop)
    assert "is a link that leads to no file" in fails(
        arguments(folder, backbone, images="loop.png"), capsys
    )
    line = arguments(folder, backbone)
    for at in (2, 3):  # the example's image, and its mask
        broken = [str(loop) if place == at else word for place, word in enumerate(line)]
        assert "loop.png: is a link that leads to no file" in fails(broken, capsys)
    (folder / "out").rmdir() if (folder / "out").exists() else None
    (folder / "out").symlink_to(folder / "out")
    assert "out: is a link that leads to nothing" in fails(line, capsys)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_a_pipe_is_not_waited_for(
    folder: Path, backbone: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = folder / f"pipe.{ending}"
    os.mkfifo(pipe)
    line = arguments(folder, backbone)
    assert "is not a file" in fails(arguments(folder, backbone, images=pipe.name), capsys)
    for at in (2, 3):  # the example's image, and its mask
        broken = [str(pipe) if place == at else word for place, word in enumerate(line)]
        assert "is not a file" in fails(broken, capsys)


def test_bad_files_among_good_ones_are_named_and_the_others_done(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = folder / "images"
    (images / "a.png").write_bytes(b"")
    (images / "b.jpg").write_bytes((images / "b.jpg").read_bytes()[:60])
    said = fails(arguments(folder, backbone, images / "gone.png"), capsys, code=1)
    for name, line in zip(("a.png", "b.jpg", "gone.png"), said.splitlines(), strict=True):
        assert str(images / name) in line
    assert written(folder) == ["c.png", "c_overlay.png"]


def test_nothing_but_bad_files_is_an_error(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = arguments(folder, backbone, images="gone.png")
    said = fails(line, capsys, code=2)
    assert said.count("\n") == 1
    assert "gone.png: no such file" in said


def test_two_images_of_one_stem_are_refused_before_anything_is_written(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other").mkdir()
    Image.new("RGB", (16, 16)).save(folder / "other" / "a.bmp")
    said = fails(arguments(folder, backbone, folder / "other"), capsys)
    assert "a.png and" in said
    assert "a.bmp would both be written" in said
    assert not (folder / "out").exists()


def test_an_example_of_two_sizes_names_both_files(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (9, 9), 1).save(folder / "mask.png")
    said = fails(arguments(folder, backbone), capsys)
    assert "eye.png is 20 x 20" in said
    assert "mask.png is 9 x 9" in said


def test_an_output_that_cannot_be_a_folder_ends_in_one_line(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").write_text("a file")
    said = fails(arguments(folder, backbone), capsys)
    assert "out: is a file; --output names a folder" in said
    assert (folder / "out").read_text() == "a file"


def test_a_full_disk_leaves_no_half_written_file(
    folder: Path,
    backbone: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in fails(arguments(folder, backbone), capsys)
    assert written(folder) == []
