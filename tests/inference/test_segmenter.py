"""Segmenter on a network whose answer is known for every pixel, and on a small random SegGPT."""

import itertools
import math
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import prompttune
from prompttune.backbone import SegGPT, SegGPTConfig, at_canvas
from prompttune.inference.segmenter import Result, Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.devices import choose_bf16, choose_device
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import denormalize, normalize

CANVAS = 16
RED_BLUE = Palette(("red", "blue"), ((255, 0, 0), (0, 0, 255)))


class Pointwise(nn.Module):
    """Answers each query pixel times the prompts' mean brightness; remembers its calls."""

    def __init__(self, canvas: int = CANVAS) -> None:
        super().__init__()
        self.config = SimpleNamespace(canvas=canvas, patch=4)
        self.fingerprint = "f" * 64
        self.name = "pointwise"
        self.calls: list[SimpleNamespace] = []

    def encode_prompt(
        self, images: Tensor, colors: Tensor, seg_type: int, type_shift: None
    ) -> SimpleNamespace:
        assert images.shape[1:] == colors.shape[1:] == (3, self.config.canvas, self.config.canvas)
        return SimpleNamespace(images=images, seg_type=seg_type)

    def ensemble(self, queries: Tensor, prompts: SimpleNamespace | list) -> Tensor:
        """Take one prompt for all queries, or one a query."""
        assert queries.shape[1:] == (3, self.config.canvas, self.config.canvas)
        assert torch.is_inference_mode_enabled()
        each = prompts if isinstance(prompts, list) else [prompts] * len(queries)
        call = SimpleNamespace(batch=len(queries), seg_types=[prompt.seg_type for prompt in each])
        call.prompts = {prompt.images.data_ptr() for prompt in each}
        call.autocast = torch.is_autocast_enabled("cpu")
        self.calls.append(call)
        light = torch.stack([denormalize(prompt.images).mean() for prompt in each])
        return normalize(denormalize(queries) * light[:, None, None, None])


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def prompt_of(brightness: float = 1.0, scale: float | None = None, **fields: object) -> Prompt:
    image = torch.full((3, CANVAS, CANVAS), brightness)
    return Prompt((image,), (image,), RED_BLUE, scale, **fields)  # type: ignore[arg-type]


def pixels(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1) / 255


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    bicubic = F.interpolate(image[None], size, mode="bicubic", antialias=True)[0]
    return bicubic.clamp(image.min(), image.max())


def assert_scores(result: Result, expected: Tensor, threshold: float = 0.5) -> None:
    assert result.scores.dtype == np.float32
    assert result.classes.dtype == np.uint8
    np.testing.assert_allclose(result.scores, expected.numpy(), atol=1e-5)
    decided = RED_BLUE.decide(torch.from_numpy(result.scores), threshold)
    assert np.array_equal(result.classes, decided.numpy())


def assert_same(one: Result, other: Result) -> None:
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    assert (one.classes != other.classes).mean() < 0.01


@pytest.mark.parametrize("size", [(16, 16), (40, 23), (9, 60), (5, 7)])
def test_without_a_scale_images_are_fitted_whole(size: tuple[int, int]) -> None:
    network, image = Pointwise(), photo(*size)
    result = Segmenter(network).predict(image, prompt_of(0.8))
    scores = RED_BLUE.scores(resized(pixels(image), (CANVAS, CANVAS)) * 0.8)
    assert_scores(result, F.interpolate(scores[None], size, mode="bilinear", antialias=True)[0])
    assert len(network.calls) == 1


@pytest.mark.parametrize("size", [(16, 16), (40, 23), (9, 60), (5, 7), (1, 1)])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.6])
def test_at_scale_one_every_pixel_is_answered_by_itself(
    size: tuple[int, int], overlap: float
) -> None:
    image = photo(*size)
    result = Segmenter(Pointwise()).predict(image, prompt_of(0.7, scale=1.0), overlap=overlap)
    assert_scores(result, RED_BLUE.scores(pixels(image) * 0.7))


@pytest.mark.parametrize("scale", [0.5, 1.7])
def test_a_scale_resizes_the_image_and_the_answer_back(scale: float) -> None:
    image = photo(50, 40)
    result = Segmenter(Pointwise()).predict(image, prompt_of(scale=scale))
    size = (round(50 * scale), round(40 * scale))
    scores = RED_BLUE.scores(resized(pixels(image), size))
    assert_scores(result, F.interpolate(scores[None], (50, 40), mode="bilinear", antialias=True)[0])


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.75])
def test_the_overlap_is_as_asked(overlap: float) -> None:
    network = Pointwise()
    Segmenter(network).predict(photo(48, 16), prompt_of(scale=1.0), overlap=overlap)
    between = {0: 16, 0.25: 12, 0.5: 8, 0.75: 4}[overlap]
    assert sum(call.batch for call in network.calls) == 1 + math.ceil((48 - 16) / between)


def test_one_window_and_many_give_the_same_answer() -> None:
    image, prompt = photo(60, 50), prompt_of(0.9, scale=1.0)
    one, many = Pointwise(canvas=64), Pointwise(canvas=16)
    assert_same(Segmenter(one).predict(image, prompt), Segmenter(many).predict(image, prompt))
    assert sum(call.batch for call in one.calls) == 1
    assert sum(call.batch for call in many.calls) > 10


@pytest.mark.parametrize("scale", [None, 1.0])
def test_a_batch_equals_its_images_one_by_one(scale: float | None) -> None:
    images = [photo(20, 30, 1), photo(16, 16, 2), photo(45, 18, 3), photo(3, 50, 4)]
    prompt, network = prompt_of(scale=scale), Pointwise()
    segmenter = Segmenter(network)
    together = segmenter.predict(images, prompt, batch_size=3)
    batches = [call.batch for call in network.calls]
    assert set(batches[:-1]) == {3}, "windows of several images share batches"
    assert isinstance(together, list)
    for image, result in zip(images, together, strict=True):
        assert result.classes.shape == image.shape[:2]
        assert_same(result, segmenter.predict(image, prompt))


def test_prompts_one_an_image_share_batches_and_the_order_is_kept() -> None:
    dark, bright = prompt_of(0.3), prompt_of(1.0, scale=1.0, seg_type=1)
    images = [photo(20, 20 + n, n) for n in range(5)]
    prompts = [dark, bright, dark, bright, bright]
    network = Pointwise()
    segmenter = Segmenter(network)
    together = segmenter.predict(images, prompts)
    assert [set(call.seg_types) for call in network.calls] == [{0, 1}], "one batch for all"
    for image, prompt, result in zip(images, prompts, together, strict=True):
        assert_same(result, segmenter.predict(image, prompt))
    assert_same(segmenter.predict(images[0], [bright]), segmenter.predict(images[0], bright))


def test_a_prompt_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    at = Prompt.at
    monkeypatch.setattr(Prompt, "at", lambda self, canvas: made.append(canvas) or at(self, canvas))
    network = Pointwise()
    Segmenter(network).predict([photo(50, 50), photo(40, 40)], prompt_of(scale=1.0), batch_size=2)
    assert made == [CANVAS]
    assert len(network.calls) > 5
    assert len(set.union(*(call.prompts for call in network.calls))) == 1


def test_predict_again_uses_what_was_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    at = Prompt.at
    monkeypatch.setattr(Prompt, "at", lambda self, canvas: made.append(canvas) or at(self, canvas))
    segmenter, prompt = Segmenter(Pointwise()), prompt_of()
    before = segmenter.predict(photo(8, 8), prompt)
    assert np.array_equal(segmenter.predict(photo(8, 8), prompt).scores, before.scores)
    assert len(made) == 1
    prompt.images[0].mul_(0.5)
    assert not np.array_equal(segmenter.predict(photo(8, 8), prompt).scores, before.scores)
    assert len(made) == 2


@pytest.mark.parametrize("kind", ["path", "text", "pil", "gray array", "upright"])
def test_every_kind_of_image_gives_the_same_answer(tmp_path: Path, kind: str) -> None:
    image = photo(20, 24)
    if kind == "gray array":
        image[:] = image[..., :1]
    exif = Image.Exif()
    if kind == "upright":
        exif[274] = 6
    stored = np.rot90(image) if kind == "upright" else image
    path = tmp_path / "image.png"
    Image.fromarray(stored).save(path, exif=exif)
    given = {
        "path": lambda: path,
        "text": lambda: str(path),
        "pil": lambda: Image.open(path),
        "gray array": lambda: image[..., 0],
        "upright": lambda: Image.open(path),
    }[kind]()
    segmenter, prompt = Segmenter(Pointwise()), prompt_of(scale=1.0)
    result = segmenter.predict(given, prompt)
    assert isinstance(result, Result)
    assert np.array_equal(result.scores, segmenter.predict(image, prompt).scores)


def test_read_only_arrays_are_taken() -> None:
    image = photo(8, 8)
    image.flags.writeable = False
    assert Segmenter(Pointwise()).predict(image, prompt_of()).classes.shape == (8, 8)


def test_the_threshold_of_the_prompt_decides() -> None:
    image = photo(30, 30)
    segmenter = Segmenter(Pointwise())
    low = segmenter.predict(image, prompt_of(0.6, scale=1.0, threshold=0.05))
    high = segmenter.predict(image, prompt_of(0.6, scale=1.0, threshold=0.95))
    scores = RED_BLUE.scores(pixels(image) * 0.6)
    assert_scores(low, scores, 0.05)
    assert_scores(high, scores, 0.95)
    assert (low.classes > 0).sum() > (high.classes > 0).sum()


def test_stream_takes_images_only_as_it_needs_them() -> None:
    taken: list[int] = []

    def images() -> Iterator[np.ndarray]:
        for number in itertools.count():
            taken.append(number)
            yield photo(20, 20, number)

    results = Segmenter(Pointwise()).stream(images(), prompt_of(), batch_size=2)
    assert [next(results).classes.shape for _ in range(3)] == [(20, 20)] * 3
    assert len(taken) == 4


def test_no_images_give_no_results() -> None:
    assert Segmenter(Pointwise()).predict([], prompt_of()) == []


@pytest.fixture(scope="module")
def small_network() -> SegGPT:
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
    return network.train()


@pytest.mark.parametrize("examples", [1, 3])
def test_a_real_network_is_called_rightly(small_network: SegGPT, examples: int) -> None:
    masks = [np.tile(np.array([0, 1, 2], np.uint8), (18, 6)) for _ in range(examples)]
    pairs = [(photo(18, 18, n), mask) for n, mask in enumerate(masks)]
    prompt = Prompt.from_examples(pairs, scale="whole")
    image = photo(16, 16, 9)
    before = {name: value.clone() for name, value in small_network.state_dict().items()}
    segmenter = Segmenter(small_network)
    result = segmenter.predict(image, prompt)
    images, colors = prompt.at(16)
    with torch.no_grad():
        answer = small_network.ensemble(
            normalize(pixels(image))[None], normalize(images), normalize(colors), seg_type=0
        )
    expected = prompt.palette.scores(denormalize(answer))[0]
    np.testing.assert_allclose(result.scores, expected.numpy(), atol=1e-5)
    batch = segmenter.predict([photo(16, 20, 1), image, photo(30, 16, 2)], prompt)
    np.testing.assert_allclose(batch[1].scores, result.scores, atol=1e-5)
    assert not small_network.training
    assert all(value.equal(before[name]) for name, value in small_network.state_dict().items())


def test_precision(small_network: SegGPT) -> None:
    image, prompt = photo(16, 16), prompt_of()
    results = {}
    for precision in ("fp32", "auto", "bf16"):
        network = Pointwise()
        Segmenter(network, "cpu", precision).predict(image, prompt)
        assert network.calls[0].autocast == (precision == "bf16")
        results[precision] = Segmenter(small_network, "cpu", precision).predict(image, prompt)
    assert np.array_equal(results["fp32"].scores, results["auto"].scores)
    difference = np.abs(results["fp32"].scores - results["bf16"].scores)
    assert difference.max() > 0
    assert difference.mean() < 0.05


def test_a_key_of_another_backbone_is_refused() -> None:
    segmenter = Segmenter(Pointwise())
    fitting = segmenter.predict(photo(8, 8), prompt_of(fingerprint="f" * 64))
    assert fitting.classes.shape == (8, 8)
    with pytest.raises(InputError, match=r"prompt retina: .* 0000.* not on pointwise \(ffff"):
        segmenter.predict(photo(8, 8), prompt_of(fingerprint="0" * 64, name="retina"))


def test_device_and_precision_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="there is no CUDA device"):
        choose_device("cuda")
    with pytest.raises(InputError, match="choose auto, cpu or cuda"):
        choose_device("tpu")
    with pytest.raises(InputError, match="choose auto, fp32 or bf16"):
        choose_bf16("fp8", torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    for has_bf16 in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has_bf16, **_: has)
        assert choose_bf16("auto", torch.device("cuda")) is has_bf16
    assert not choose_bf16("auto", torch.device("cpu"))


@pytest.mark.parametrize(
    ("images", "options", "line"),
    [
        (photo(8, 8), {"overlap": 1.0}, "overlap 1: must be 0 to 0.9"),
        (photo(8, 8), {"overlap": -0.1}, "overlap -0.1"),
        (photo(8, 8), {"batch_size": 0}, "batch size 0"),
        (photo(8, 8), {"prompt": "retina"}, "give a Prompt, from load_prompt"),
        ([photo(8, 8)] * 2, {"prompt": [prompt_of()] * 3}, "2 images and 3 prompts"),
        (photo(8, 8).astype(float), {}, "float64"),
        (photo(8, 8)[0, 0], {}, "array of 3"),
        (["no such.png"], {}, "no such.png: no such file"),
        (None, {}, "NoneType given"),
    ],
)
def test_bad_input_is_refused(images: object, options: dict, line: str) -> None:
    segmenter = Segmenter(Pointwise())
    with pytest.raises(InputError, match=line):
        segmenter.predict(images, **({"prompt": prompt_of()} | options))  # type: ignore[call-overload]


@pytest.mark.parametrize("content", [b"", b"not an image", "truncated"])
def test_bad_files_are_named(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "scan.png"
    Image.fromarray(photo(30, 30)).save(path)
    path.write_bytes(path.read_bytes()[:500] if isinstance(content, str) else content)
    with pytest.raises(InputError, match=r"scan\.png"):
        Segmenter(Pointwise()).predict([photo(8, 8), path], prompt_of())


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(InputError, match="seggpt-smal"):
        Segmenter("seggpt-smal")


def test_public_names_are_imported_on_use() -> None:
    code = (
        "import sys, prompttune\n"
        "assert 'torch' not in sys.modules\n"
        "assert set(prompttune.__all__) <= set(dir(prompttune))\n"
        "print(prompttune.InputError.__module__, prompttune.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert done.stdout.split() == ["prompttune.utils.errors", project["version"]]
    for name in prompttune.__all__:
        assert getattr(prompttune, name) is not None
    assert prompttune.Segmenter is Segmenter
    with pytest.raises(AttributeError, match="no attribute 'Segmentor'"):
        prompttune.Segmentor  # noqa: B018


def test_a_prompt_answers_on_its_own_canvas(small_network: SegGPT) -> None:
    """Windows, positions and batches are those of a backbone of that canvas; others stay."""
    own, other = CANVAS, 2 * CANVAS
    generator = torch.Generator().manual_seed(0)
    prompts = [
        Prompt(*torch.rand(2, 1, 3, side, side, generator=generator), RED_BLUE, 1.0, canvas=canvas)
        for side, canvas in ((own, None), (other, other))
    ]
    images = [photo(40, 50, seed) for seed in range(2)]
    both = Segmenter(small_network).predict(images, prompts)
    alone = Segmenter(small_network).predict(images[0], prompts[0])
    large = Segmenter(at_canvas(small_network, other)).predict(images[1], prompts[1])
    for result, expected in zip(both, (alone, large), strict=True):
        np.testing.assert_allclose(result.scores, expected.scores, atol=1e-5)
    assert not np.allclose(both[0].scores, Segmenter(small_network).predict(
        images[0], prompts[1]).scores, atol=1e-3)  # fmt: skip
