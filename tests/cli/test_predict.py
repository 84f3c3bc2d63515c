"""The predict command, on a small random SegGPT in a file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_lines import check_waits_for_no_other
from PIL import Image
from predicting import arguments, line_of, shown, written
from predicting import backbone as backbone
from predicting import folder as folder
from predicting import keys as keys
from predicting import pool as pool
from predicting import spied as spied

from prompttune.cli import predict
from prompttune.inference.segmenter import Segmenter
from prompttune.outputs.instances import coco_results, find_instances
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt


def test_a_folder_is_segmented(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(arguments(folder, backbone, "--classes", "artery, vein")) == 0
    both = [f"{stem}{end}.png" for stem in "abc" for end in ("", "_overlay")]
    assert written(folder) == both
    assert (
        f"3 of 3 images segmented, masks and overlays in {folder / 'out'}"
        in capsys.readouterr().out
    )
    prompt = Prompt.from_examples([(folder / "eye.png", folder / "mask.png")], ["artery", "vein"])
    paths = [folder / "images" / name for name in ("a.png", "b.jpg", "c.tif")]
    for path, result in zip(paths, Segmenter(backbone).predict(paths, prompt), strict=True):
        with Image.open(folder / "out" / f"{path.stem}.png") as mask:
            assert mask.mode == "P"
            assert np.array_equal(np.asarray(mask), result.classes)
            painted = prompt.palette.paint(result.classes).permute(1, 2, 0) * 255
            assert np.array_equal(np.asarray(mask.convert("RGB")), painted.numpy())
        with Image.open(folder / "out" / f"{path.stem}_overlay.png") as overlay:
            assert overlay.mode == "RGB"
            assert overlay.size == result.classes.shape[::-1]


@pytest.mark.parametrize("images", ["images", "images/a.png"])
def test_a_folder_of_another_run_is_refused(
    folder: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch, images: str
) -> None:
    line = arguments(folder, backbone, images=images)
    check_waits_for_no_other(lambda: predict.main(line), folder / "out", monkeypatch)


def test_a_scale_reaches_the_prompt(folder: Path, backbone: Path) -> None:
    line = arguments(folder, backbone, "--scale", 1.5, "--overlap", 0.5, images="images/c.tif")
    assert predict.main(line) == 0
    example = (folder / "eye.png", folder / "mask.png")
    prompt = Prompt.from_examples([example], scale=1.5, canvas=16)
    expected = Segmenter(backbone).predict(folder / "images" / "c.tif", prompt, overlap=0.5)
    with Image.open(folder / "out" / "c.png") as mask:
        assert np.array_equal(np.asarray(mask), expected.classes)


@pytest.mark.parametrize(
    ("options", "scale", "line"),
    [
        ((), "chosen", "chosen from the examples; --scale sets it"),
        (("--scale", "auto", "--ensemble", "spatial"), "chosen", "(chosen from the examples;"),
        (("--scale", "whole"), None, ""),
        (("--scale", 1.25), 1.25, ""),
    ],
)
def test_a_chosen_scale_is_said(
    folder: Path,
    backbone: Path,
    spied: list,
    capsys: pytest.CaptureFixture[str],
    options: tuple,
    scale: object,
    line: str,
) -> None:
    assert predict.main(arguments(folder, backbone, *options, images="images/a.png")) == 0
    said = capsys.readouterr().err
    assert said.count("chosen") == (scale == "chosen")
    assert line in said
    if scale == "chosen":
        kept = spied[0].known_scale
        assert said.startswith("images whole" if kept is None else f"scale {kept:g} ")
    else:
        assert spied[0].scale == scale


def test_several_examples_make_an_ensemble(folder: Path, backbone: Path, spied: list) -> None:
    more = ("--example", folder / "eye.png", folder / "mask.png")
    assert predict.main(arguments(folder, backbone, *more)) == 0
    assert len(spied[0].images) == 2
    more = (*more, "--ensemble", "spatial", "--scale", "whole")
    assert predict.main(arguments(folder, backbone, *more)) == 0
    assert [image.shape for image in spied[1].images] == [(3, 40, 40)]


def test_a_key_and_an_example_answer_together(
    folder: Path, backbone: Path, keys: dict[str, Prompt], spied: list
) -> None:
    Image.fromarray(np.eye(20, dtype=np.uint8)).save(folder / "mask.png")
    example = ("--example", folder / "eye.png", folder / "mask.png")
    assert predict.main(line_of(folder, backbone, "--prompt", "vein", *example)) == 0
    (joined,) = spied
    pair = (folder / "eye.png", folder / "mask.png")
    other = Prompt.from_examples([pair], ["vein"], scale=1.5, canvas=16)
    assert joined.images[0].equal(keys["vein"].images[0])
    assert joined.images[1].equal(other.images[0])
    assert (joined.threshold, joined.scale) == (0.2, 1.5)


def test_keys_of_several_classes_share_one_result(
    folder: Path, backbone: Path, keys: dict[str, Prompt]
) -> None:
    line = line_of(folder, backbone, "--prompt", "vein", "--prompt", "disc")
    assert predict.main(line) == 0
    both = Composition([keys["vein"], keys["disc"]])
    result = Segmenter(backbone).predict(folder / "images" / "c.tif", both)
    assert np.array_equal(shown(folder, "c"), result.classes)
    with Image.open(folder / "out" / "c.png") as mask:
        colors = [value for color in both.palette.colors for value in color]
        assert mask.getpalette()[3:12] == colors
    assert result.classes.any()


def test_flips_reach_the_segmenter(folder: Path, backbone: Path) -> None:
    assert predict.main(arguments(folder, backbone, "--flips", images="images/c.tif")) == 0
    prompt = Prompt.from_examples([(folder / "eye.png", folder / "mask.png")])
    image = folder / "images" / "c.tif"
    expected = Segmenter(backbone).predict(image, prompt, flips=True)
    assert np.array_equal(shown(folder, "c"), expected.classes)


def test_zooms_reach_the_segmenter(folder: Path, backbone: Path) -> None:
    line = arguments(folder, backbone, "--zooms", "0.5,1", "--scale", "1", images="images/c.tif")
    assert predict.main(line) == 0
    pair = (folder / "eye.png", folder / "mask.png")
    prompt = Prompt.from_examples([pair], scale=1.0, canvas=16)
    expected = Segmenter(backbone).predict(folder / "images" / "c.tif", prompt, zooms=(0.5, 1))
    assert np.array_equal(shown(folder, "c"), expected.classes)


def test_what_is_done_is_skipped_on_request(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").mkdir()
    for name in ("a.png", "a_overlay.png", "b.png"):  # b has no overlay
        (folder / "out" / name).write_text("kept")
    assert predict.main(arguments(folder, backbone, "--skip_done")) == 0
    said = capsys.readouterr().out
    assert "2 of 2 images segmented" in said
    assert "(1 more were there already)" in said
    assert (folder / "out" / "a.png").read_text() == "kept"
    assert shown(folder, "b").shape == (16, 16)
    assert predict.main(arguments(folder, backbone, "--skip_done")) == 0
    assert "all 3 images are done already" in capsys.readouterr().out
    assert predict.main(arguments(folder, backbone)) == 0
    assert shown(folder, "a").shape == (20, 24)


def test_instances_are_written_as_coco_results(folder: Path, backbone: Path) -> None:
    (folder / "images" / "b.jpg").rename(folder / "images" / "0042.jpg")
    assert predict.main(arguments(folder, backbone, "--instances", "--min_area", 3)) == 0
    content = json.loads((folder / "out" / "0042_instances.json").read_text())
    prompt = Prompt.from_examples([(folder / "eye.png", folder / "mask.png")])
    result = Segmenter(backbone).predict(folder / "images" / "0042.jpg", prompt)
    assert content == coco_results(find_instances(result, 3), 42)
    assert {each["category_id"] for each in content} <= {1, 2}
    assert {each["image_id"] for each in content} == {42}
    assert json.loads((folder / "out" / "a_instances.json").read_text())[0]["image_id"] == "a"


def test_colored_instances_are_objects_of_one_class(
    folder: Path, backbone: Path, spied: list
) -> None:
    more = ("--instances", "--instance_masks", "--min_area", 1, "--classes", "cell")
    assert predict.main(arguments(folder, backbone, *more)) == 0
    assert (spied[0].instance_of, spied[0].seg_type) == ("cell", 1)
    content = json.loads((folder / "out" / "a_instances.json").read_text())
    assert {each["category_id"] for each in content} == {1}
    result = Segmenter(backbone).predict(folder / "images" / "a.png", spied[0])
    assert content == coco_results(find_instances(result, 1, one_class=True), "a")


def test_the_nearest_examples_of_a_pool_are_chosen(
    folder: Path, backbone: Path, pool: Path
) -> None:
    line = line_of(folder, backbone, "--pool", pool, "--shots", 1, "--scale", "whole")
    assert predict.main(line) == 0
    for number, name in enumerate(("a.png", "b.jpg", "c.tif")):
        itself = (pool / "images" / f"{number}.png", pool / "masks" / f"{number}.png")
        prompt = Prompt.from_examples([itself], ["foreground"], scale="whole")
        expected = Segmenter(backbone).predict(folder / "images" / name, prompt)
        assert (shown(folder, name[0]) != expected.classes).mean() < 0.01


def test_a_pool_has_one_scale_for_all_images(
    folder: Path, backbone: Path, pool: Path, spied: list, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(line_of(folder, backbone, "--pool", pool)) == 0
    assert capsys.readouterr().err.count("chosen from the examples") == 1
    one, other = (spied[0](np.zeros((9, side, 3), np.uint8)) for side in (9, 30))
    assert one.scale == other.scale != "auto"


@pytest.mark.parametrize("select", ["diverse", "random", "nearest"])
def test_a_pool_joins_a_key(
    folder: Path, backbone: Path, pool: Path, keys: dict[str, Prompt], spied: list, select: str
) -> None:
    more = ("--pool", pool, "--select", select, "--shots", 2, "--ensemble", "spatial")
    assert predict.main(line_of(folder, backbone, "--prompt", "vein", *more)) == 0
    prompt = spied[0]
    if select == "nearest":
        prompt = prompt(np.zeros((9, 9, 3), np.uint8))
    assert len(prompt.images) == 2
    assert prompt.palette == spied[0].palette == keys["vein"].palette


def test_a_video_goes_to_its_own_module(
    folder: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple] = []
    monkeypatch.setattr(
        "prompttune.video.run.segment_video", lambda *given: asked.append(given) or 7
    )
    line = arguments(folder, backbone, "--video", folder / "clip.mp4", "--memory_frames", 3)
    line.remove(str(folder / "images"))
    assert predict.main(line) == 0
    ((segmenter, prompt, source, output, memory, kept),) = asked
    assert isinstance(segmenter, Segmenter)
    assert len(prompt.images) == 1
    assert (source, output, memory) == (folder / "clip.mp4", folder / "out", 3)
    assert len(kept) == 2  # the example, which no result may replace


def test_a_key_is_loaded_from_the_zoo(
    folder: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Prompt((torch.rand(3, 16, 16),), (torch.rand(3, 16, 16),), Palette.of(["vessel"]))
    asked: list[tuple] = []
    monkeypatch.setattr(
        "prompttune.zoo.store.load_prompt", lambda *given: asked.append(given) or key
    )
    line = [str(folder / "images"), "--prompt", "retina", "--output", str(folder / "out")]
    line += ["--backbone", str(backbone), "--prompts_zoo", "zoo"]
    assert predict.main(line) == 0
    assert asked == [("retina", Path("zoo"))]
    assert len(written(folder)) == 6


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, prompttune.predict as p\n"
        "try: p.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--example IMG MASK" in done.stdout
    assert done.stdout.endswith("set()\n")


def test_the_module_runs_as_a_command() -> None:
    line = [sys.executable, "-m", "prompttune.predict", "a.png", "--output", "o"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("prompttune.predict: error: one of the arguments")
    assert done.stderr.count("\n") == 1
