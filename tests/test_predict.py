"""The predict command, on a small random SegGPT in a file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prompttune import predict
from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.commandline import run
from prompttune.errors import InputError
from prompttune.palette import Palette
from prompttune.prompt import Prompt
from prompttune.segmenter import Segmenter


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = SegGPTConfig(
        canvas=16, patch=4, dim=16, depth=4, heads=2, taps=(2, 3), decoder_dim=4, pretrain_canvas=16
    )
    generator = torch.Generator().manual_seed(0)
    network = SegGPT(config).requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    path = tmp_path_factory.mktemp("backbone") / "small.safetensors"
    save_weights(network, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an example and `images/`: a.png, b.jpg, c.tif and a text file."""
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name, size in (("a.png", (20, 24)), ("b.jpg", (16, 16)), ("c.tif", (30, 17))):
        pixels = generator.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.txt").write_text("not an image")
    Image.fromarray(generator.integers(0, 256, (20, 20, 3), np.uint8)).save(tmp_path / "eye.png")
    Image.fromarray(np.tile(np.array([0, 1, 2, 2], np.uint8), (20, 5))).save(tmp_path / "mask.png")
    return tmp_path


def arguments(folder: Path, backbone: Path, *more: object, images: object = "images") -> list[str]:
    example = ("--example", folder / "eye.png", folder / "mask.png")
    common = (folder / str(images), *example, "--output", folder / "out", "--backbone", backbone)
    return [str(each) for each in (*common, *more)]


def fails(line: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """Run the command as its module does; return what it says on stderr."""
    with pytest.raises(SystemExit) as caught:
        run(lambda: predict.main(line), predict.PROG)
    assert caught.value.code == code
    said = capsys.readouterr().err
    assert all(each.startswith("prompttune.predict: error: ") for each in said.splitlines())
    return said


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


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


def test_a_scale_reaches_the_prompt(folder: Path, backbone: Path) -> None:
    line = arguments(folder, backbone, "--scale", 1.5, "--overlap", 0.5, images="images/c.tif")
    assert predict.main(line) == 0
    example = (folder / "eye.png", folder / "mask.png")
    prompt = Prompt.from_examples([example], scale=1.5, canvas=16)
    expected = Segmenter(backbone).predict(folder / "images" / "c.tif", prompt, overlap=0.5)
    with Image.open(folder / "out" / "c.png") as mask:
        assert np.array_equal(np.asarray(mask), expected.classes)


def test_several_examples_make_an_ensemble(
    folder: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Prompt] = []
    stream = Segmenter.stream

    def spy(self: Segmenter, images: object, prompt: Prompt, overlap: float) -> object:
        seen.append(prompt)
        return stream(self, images, prompt, overlap)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "stream", spy)
    more = ("--example", folder / "eye.png", folder / "mask.png")
    assert predict.main(arguments(folder, backbone, *more)) == 0
    assert len(seen[0].images) == 2


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


def test_an_image_named_twice_counts_once(folder: Path) -> None:
    images = folder / "images"
    found = predict.find_images([images / "b.jpg", images, images / ".." / "images" / "c.tif"])
    assert [path.name for path in found] == ["b.jpg", "a.png", "c.tif"]


def test_outputs_never_replace_other_outputs_or_inputs(tmp_path: Path) -> None:
    names = predict.name_outputs([Path("x/a.jpg"), Path("x/b.jpg")], tmp_path)
    assert names == {Path("x/a.jpg"): tmp_path / "a.png", Path("x/b.jpg"): tmp_path / "b.png"}
    with pytest.raises(InputError, match=r"would both be written to .*a_overlay\.png"):
        predict.name_outputs([Path("a.png"), Path("a_overlay.png")], tmp_path)
    with pytest.raises(InputError, match="written over an input"):
        predict.name_outputs([tmp_path / "a.png"], tmp_path / ".." / tmp_path.name)
    with pytest.raises(InputError, match="written over an input"):
        predict.name_outputs([Path("eye.jpg")], tmp_path, kept=[tmp_path / "eye.png"])


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--scale", "-1"), "scale -1.0"),
        (("--overlap", "1"), "overlap 1.0"),
        (("--overlap", "much"), "argument --overlap: invalid float value: 'much'"),
        (("--classes", "a"), "mask holds values 0, 1, 2"),
        (("--classes", "a,a"), "names used twice: a"),
        (("--prompt", "retina"), "not allowed with argument --example"),
        (("--device", "tpu"), "argument --device: invalid choice: 'tpu'"),
        (("--backbone", "seggpt-tinny"), "seggpt-tinny"),
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
    assert not list(folder.glob("out/*"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["a.png", "--output", "o"], "one of the arguments --prompt --example is required"),
        (["a.png", "--prompt", "retina"], "the following arguments are required: --output"),
        (["--prompt", "retina", "--output", "o"], "arguments are required: IMAGES"),
        (["a.png", "--prompt", "retina", "--output", "o", "--scale", "1"], "go with --example"),
    ],
)
def test_incomplete_lines_are_refused(line: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        predict.main(line)


def test_an_example_of_two_sizes_names_both_files(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (9, 9), 1).save(folder / "mask.png")
    said = fails(arguments(folder, backbone), capsys)
    assert "eye.png is 20 x 20" in said
    assert "mask.png is 9 x 9" in said


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images in this folder"):
        predict.find_images([tmp_path])


def test_an_output_that_cannot_be_a_folder_ends_in_one_line(
    folder: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").write_text("a file")
    said = fails(arguments(folder, backbone), capsys)
    assert "File exists" in said
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


def test_overlay_is_thin_lines_and_half_transparent_colour() -> None:
    image = np.full((9, 9, 3), 100, np.uint8)
    class_map = np.zeros((9, 9), np.uint8)
    class_map[2:7, 2:7] = 1
    palette = Palette(("part", "other"), ((255, 0, 0), (0, 255, 0)))
    drawn = np.asarray(predict.overlay(image, class_map, palette))
    assert (drawn[class_map == 0] == 100).all()
    inner = np.zeros((9, 9), bool)
    inner[3:6, 3:6] = True
    assert (drawn[(class_map == 1) & ~inner] == (255, 0, 0)).all()
    assert (drawn[inner] == np.round(100 + 0.45 * (np.array([255, 0, 0]) - 100))).all()


def test_a_single_white_class_is_shown_in_a_colour() -> None:
    drawn = predict.overlay(
        np.full((3, 3, 3), 255, np.uint8), np.ones((3, 3), np.uint8), Palette.of(["road"])
    )
    assert (np.ptp(np.asarray(drawn), axis=2) > 50).all()


def test_index_images_keep_every_index(tmp_path: Path) -> None:
    palette = Palette.of(map(str, range(254)))
    class_map = np.arange(255, dtype=np.uint8).reshape(15, 17)
    predict.write_png(tmp_path / "all.png", predict.index_image(class_map, palette))
    with Image.open(tmp_path / "all.png") as image:
        assert np.array_equal(np.asarray(image), class_map)
        assert image.getpalette()[3:6] == [255, 255, 255]


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
