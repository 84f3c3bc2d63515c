"""Exported files against `predict`, run by onnxruntime."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from key_fixtures import make_key
from PIL import Image

from prompttune.companion.network import CompanionNetwork
from prompttune.export.check import check_onnx, key_inputs
from prompttune.export.graph import scores_by_distance
from prompttune.export.onnx_file import METADATA, OnnxOptions, export_onnx
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.utils.errors import InputError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx" / "segment.py"


def session_of(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def windows(segmenter: Segmenter, count: int, seed: int = 0) -> np.ndarray:
    side = segmenter.network.config.canvas
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.fixture(scope="module")
def embedded(segmenter, key_of, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "key.onnx"
    export_onnx(key_of(segmenter, ("a", "b"), prompts=2), segmenter, path, OnnxOptions())
    return path


@pytest.fixture(scope="module")
def with_input(segmenter, key_of, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "any.onnx"
    export_onnx(key_of(segmenter, ("a",)), segmenter, path, OnnxOptions(key_input=True))
    return path


@pytest.mark.parametrize("count", [1, 3])
def test_an_embedded_key_answers_as_predict(segmenter, key_of, embedded, count: int) -> None:
    key, image = key_of(segmenter, ("a", "b"), prompts=2), windows(segmenter, count)
    (scores,) = session_of(embedded).run(None, {"image": image})
    expected = [result.scores for result in segmenter.predict(list(image), key)]
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize(("classes", "prompts"), [(("a",), 1), (("a", "b", "c"), 3)])
def test_one_file_serves_all_keys(segmenter, key_of, with_input, classes, prompts) -> None:
    key, image = key_of(segmenter, classes, prompts, seg_type=prompts % 2), windows(segmenter, 2)
    feed = {"image": image, **key_inputs(key, segmenter)}
    (scores,) = session_of(with_input).run(None, feed)
    expected = [result.scores for result in segmenter.predict(list(image), key)]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_a_compact_key_answers_as_predict(segmenter, key_of, embedded, tmp_path) -> None:
    whole, image = key_of(segmenter, ("a", "b"), prompts=2), windows(segmenter, 3)
    key, path = segmenter.compact(whole, list(image), 2), tmp_path / "compact.onnx"
    export_onnx(key, segmenter, path, OnnxOptions())
    scores, of_all = (session_of(p).run(None, {"image": image})[0] for p in (path, embedded))
    expected = [result.scores for result in segmenter.predict(list(image), key)]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.abs(scores - of_all).max() > 1e-3  # fewer tokens are another answer
    with pytest.raises(InputError, match="compact, which no input can say; use --embed-key"):
        export_onnx(key, segmenter, tmp_path / "any.onnx", OnnxOptions(key_input=True))
    with pytest.raises(InputError, match="is compact"):
        key_inputs(key, segmenter)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_key_with_a_companion_answers_as_predict(segmenter, key_of, tmp_path, share) -> None:
    torch.manual_seed(0)
    companion = CompanionNetwork(2, (4, 8)).eval().folded(share)
    key, image = key_of(segmenter, ("a", "b"), companion=companion), windows(segmenter, 3)
    export_onnx(key, segmenter, tmp_path / "key.onnx", OnnxOptions())
    (scores,) = session_of(tmp_path / "key.onnx").run(None, {"image": image})
    expected = [result.scores for result in segmenter.predict(list(image), key)]
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    held = sum(np.prod(each.dims) for each in onnx.load(tmp_path / "key.onnx").graph.initializer)
    # Where it alone counts the file holds its weights, and not those of the frozen network.
    assert (held < 2 * len(companion.weights)) == (share == 1)


def test_scores_by_distance_are_the_palettes() -> None:
    colors = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    for count in (1, 2, 7):
        palette = Palette.of(f"class {i}" for i in range(count))
        points = torch.tensor(palette.colors) / 255
        torch.testing.assert_close(scores_by_distance(colors, points), palette.scores(colors))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_are_near_and_smaller(
    segmenter, key_of, embedded, tmp_path, precision: str
) -> None:
    key = key_of(segmenter, ("a", "b"), prompts=2)
    export_onnx(key, segmenter, tmp_path / "small.onnx", OnnxOptions(precision=precision))
    image = windows(segmenter, 4)
    exact, near = (
        session_of(path).run(None, {"image": image})[0]
        for path in (embedded, tmp_path / "small.onnx")
    )
    assert near.dtype == np.float32
    assert 1e-6 < np.abs(near - exact).mean() < 0.02
    assert (tmp_path / "small.onnx").stat().st_size < embedded.stat().st_size
    assert 0.95 < check_onnx(tmp_path / "small.onnx", key, segmenter, repeats=1).agreement <= 1


def test_groups_of_classes_and_an_older_opset(segmenter, key_of, tmp_path) -> None:
    import onnx

    _, card = make_key(size=16, recipe={"bands": "4,3,2", "stretch": "0,3000"})
    first, second = key_of(segmenter, ("a", "b"), card=card), key_of(segmenter, ("c",))
    both, path = Composition([first, second]), tmp_path / "both.onnx"
    about = export_onnx(both, segmenter, path, OnnxOptions(opset=18))
    assert (about["bands"], about["stretch"]) == ((4, 3, 2), "0,3000")
    found = check_onnx(path, both, segmenter, repeats=1)
    assert found.difference < 1e-4
    assert found.agreement == 1
    assert found.time > 0
    versions = {one.domain: one.version for one in onnx.load(path).opset_import}
    assert versions[""] == 18


def test_the_file_says_what_it_is(segmenter, key_of, embedded) -> None:
    about = json.loads(session_of(embedded).get_modelmeta().custom_metadata_map[METADATA])
    assert about["classes"] == ["a", "b"]
    assert about["window"] == segmenter.network.config.canvas
    assert about["scale"] == 1.0
    assert about["groups"] == [{"classes": 2, "threshold": 0.4}]
    assert about["fingerprint"] == segmenter.network.fingerprint
    assert about["colors"] == [list(color) for color in Palette.of(["a", "b"]).colors]


@pytest.mark.parametrize("size", [(40, 29), (12, 12), (9, 7)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_example_segments_large_images(
    segmenter, key_of, embedded, tmp_path, size, scale
) -> None:
    """The threshold is a median, so that half of the pixels lie on each of its sides."""
    import onnx

    assert len(EXAMPLE.read_text().splitlines()) <= 40
    pixels = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    key = replace(key_of(segmenter, ("a", "b"), prompts=2), scale=scale)
    threshold = float(np.median(segmenter.predict(pixels, key).scores.sum(0)))
    made, model = onnx.load(embedded), tmp_path / "key.onnx"
    about = json.loads(made.metadata_props[0].value) | {"scale": scale}
    about["groups"][0]["threshold"] = threshold
    onnx.helper.set_model_props(made, {METADATA: json.dumps(about)})
    onnx.save(made, model)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    line = [sys.executable, EXAMPLE, model, tmp_path / "image.png", tmp_path / "mask.png"]
    subprocess.run(line, check=True, timeout=120)
    mask = np.asarray(Image.open(tmp_path / "mask.png"))
    expected = segmenter.predict(pixels, replace(key, threshold=threshold)).classes
    assert mask.shape == expected.shape
    assert 0.3 < (expected > 0).mean() < 0.7
    # At a scale the example rounds resized pixels to 8 bits; the segmenter does not.
    assert (mask == expected).mean() > (0.98 if scale == 1 else 0.9)


def test_the_example_refuses_what_it_would_misread(embedded, tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 999, np.uint16)).save(tmp_path / "deep.png")
    line = [sys.executable, EXAMPLE, embedded, tmp_path / "deep.png", tmp_path / "mask.png"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "deep.png: not a picture of 8 bits" in done.stderr
    assert not (tmp_path / "mask.png").exists()


def test_a_two_way_network_is_exported_too(key_of, tmp_path) -> None:
    from seggpt_oracle import random_network

    from prompttune.backbone import SegGPTConfig

    config = SegGPTConfig(
        canvas=32,
        patch=8,
        dim=16,
        depth=4,
        heads=2,
        out_indices=(2, 3),
        decoder_dim=4,
        pretrain_canvas=32,
    )
    segmenter = Segmenter(random_network(config), "cpu", "fp32")
    key = replace(key_of(segmenter, ("a",), prompts=2, seg_type=0), fingerprint=None)
    export_onnx(key, segmenter, tmp_path / "two.onnx", OnnxOptions())
    assert check_onnx(tmp_path / "two.onnx", key, segmenter, repeats=1).difference < 1e-4
    with pytest.raises(InputError, match="--embed-key"):
        export_onnx(key, segmenter, tmp_path / "any.onnx", OnnxOptions(key_input=True))


@pytest.mark.parametrize(("opset", "age"), [(11, "too old"), (99, "too new")])
def test_opsets_that_cannot_be_written(opset: int, age: str) -> None:
    with pytest.raises(InputError, match=f"--opset {opset}: {age}; give 18 to"):
        OnnxOptions(opset)


def test_a_key_of_another_backbone_is_refused(segmenter, key_of, tmp_path) -> None:
    key = replace(key_of(segmenter, ("a",)), fingerprint="ab" * 32)
    with pytest.raises(InputError, match="learned on the backbone with fingerprint abab"):
        export_onnx(key, segmenter, tmp_path / "key.onnx", OnnxOptions())
    assert not list(tmp_path.iterdir())
