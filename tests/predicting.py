"""What tests of `predict` share: a small random SegGPT in a file, images, and how it fails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.cli import predict
from prompttune.cli.commandline import run
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = SegGPTConfig(
        canvas=16,
        patch=4,
        dim=16,
        depth=4,
        heads=2,
        out_indices=(2, 3),
        decoder_dim=4,
        pretrain_canvas=16,
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
    lines = capsys.readouterr().err.splitlines(keepends=True)
    said = [line for line in lines if "chosen from the examples" not in line]
    assert all(each.startswith("prompttune.predict: error: ") for each in said)
    return "".join(said)


def written(folder: Path) -> list[str]:
    """List what a command left."""
    return sorted(path.name for path in (folder / "out").iterdir())


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list:
    """Return the prompts that reach `Segmenter.stream`."""
    seen: list = []
    stream = Segmenter.stream

    def spy(self: Segmenter, images: object, prompt: object, *more: object, **named: object):
        seen.append(prompt)
        return stream(self, images, prompt, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "stream", spy)
    return seen


@pytest.fixture
def keys(backbone: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Prompt]:
    """Put keys into the place of the zoo."""
    fingerprint = Segmenter(backbone).network.fingerprint

    def key(name: str, seed: int, *classes: str, **fields: object) -> Prompt:
        pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed)).unbind()
        options = {"name": name, "fingerprint": fingerprint, "threshold": 0.2} | fields
        return Prompt(pixels[:1], pixels[1:], Palette.of(classes), **options)  # type: ignore[arg-type]

    found = {
        "vein": key("vein", 1, "vein", scale=1.5),
        "disc": key("disc", 2, "disc", "cup"),
        "cup": key("cup", 3, "cup"),
        "foreign": key("foreign", 4, "vein", fingerprint="0" * 64),
    }
    monkeypatch.setattr("prompttune.zoo.store.load_prompt", lambda name, _: found[name])
    return found


def line_of(folder: Path, backbone: Path, *more: object) -> list[str]:
    """Return the words of a command without an example."""
    common = (folder / "images", "--output", folder / "out", "--backbone", backbone)
    return [str(each) for each in (*common, *more)]


def shown(folder: Path, stem: str) -> np.ndarray:
    """Read a class map that a command left."""
    with Image.open(folder / "out" / f"{stem}.png") as mask:
        return np.asarray(mask)


@pytest.fixture
def pool(folder: Path) -> Path:
    """Return a pool of four: copies of the images, one of which shows nothing."""
    for part in ("images", "masks"):
        (folder / "pool" / part).mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "c.tif", "c.tif")):
        image = Image.open(folder / "images" / name)
        image.save(folder / "pool" / "images" / f"{number}.png")
        mask = np.zeros(image.size[::-1], np.uint8)
        mask[: 5 * (number < 3)] = 255
        Image.fromarray(mask).save(folder / "pool" / "masks" / f"{number}.png")
    return folder / "pool"
