"""Write a backbone and a key as one ONNX file, whole or not at all."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from prompttune.backbone.compact import keep_tokens
from prompttune.backbone.network import EncodedPrompt, SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt
from prompttune.export.graph import EmbeddedKey, KeyAsInput
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.prompts.reading import options_of, recipes_of
from prompttune.utils.errors import InputError
from prompttune.utils.io import whole_file
from prompttune.utils.normalize import normalize

if TYPE_CHECKING:
    from onnx import ModelProto


Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
MIN_OPSET, DEFAULT_OPSET = 18, 23
"""18 is the oldest that PyTorch writes; 23 has an operator for attention, which is the fastest."""
MAX_BYTES = 2**31 - 1
"""Of one ONNX file: protobuf's own limit."""
METADATA = "prompttune"
"""Name of the metadata entry that says, as JSON, what a caller needs to know."""


@dataclass(frozen=True)
class OnnxOptions:
    """How a file is written.

    Raises:
        InputError: an opset that cannot be written, or an unknown precision.
    """

    opset: int = DEFAULT_OPSET
    precision: Precision = "fp32"
    """fp16: half the size, for GPUs; int8: a quarter of the size, the fastest on a CPU."""
    key_input: bool = False
    """The key is an input of every call, so that one file serves all keys of a backbone; else it is
    part of the file."""

    def __post_init__(self) -> None:
        from onnx.defs import onnx_opset_version

        newest = onnx_opset_version()
        if not MIN_OPSET <= self.opset <= newest:
            age = "old" if self.opset < MIN_OPSET else "new"
            raise InputError(
                f"--opset {self.opset}: too {age}; give {MIN_OPSET} to {newest} "
                f"(default: {DEFAULT_OPSET})"
            )
        if self.precision not in PRECISIONS:
            raise InputError(f"--precision {self.precision}: choose {', '.join(PRECISIONS)}")


def export_onnx(
    prompt: Prompt | Composition, segmenter: Segmenter, path: Path, options: OnnxOptions
) -> dict[str, Any]:
    """Write `path`: windows of `B x S x S x 3 uint8` in, scores `B x C x S x S float32` out.

    With `key_input` the key's pixels, its palette, its shift of the type token and its type are
    inputs as well (see `prompttune.export.graph.KeyAsInput`).

    Args:
        prompt: a key, or examples whose scale is known.
        segmenter: its backbone, on the CPU in fp32.
        path: of the file.
        options: how.

    Returns:
        What the file says of itself in its metadata: window, scale, classes, colors, groups, the
        bands and the stretch of its images, and the backbone.

    Raises:
        InputError: a key of another backbone, a network that cannot be written so, a file that
            would be too large.
    """
    if segmenter.device.type != "cpu" or segmenter.bf16:
        raise InputError("export: the backbone must lie on the CPU in fp32")
    segmenter.check(prompt)
    model, example, shapes = _model(prompt, segmenter, options)

    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            model,
            tuple(example.values()),
            input_names=list(example),
            output_names=["scores"],
            dynamic_shapes=shapes,
            opset_version=options.opset,
            verbose=False,
        )
        if program is None:
            raise RuntimeError("torch.onnx.export returned nothing")
        made = in_precision(program.model_proto, options.precision)
    about = _describe(made, prompt, segmenter, options)
    if made.ByteSize() > MAX_BYTES:
        raise InputError(
            f"{path}: would have {made.ByteSize() / 2**30:.1f} GiB, and an ONNX file at most 2; "
            "try --precision fp16 or int8"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(made.SerializeToString())
    return about


def _model(
    prompt: Prompt | Composition, segmenter: Segmenter, options: OnnxOptions
) -> tuple[nn.Module, dict[str, Tensor], dict[str, dict[int, Any]]]:
    """Return what is exported, an example of each input, and which sizes are free."""
    canvas = segmenter.canvas(prompt.parts[0])
    network = segmenter.at(canvas)
    # More than one of each, since the exporter fixes sizes of 1.
    example = {"image": torch.zeros(2, canvas, canvas, 3, dtype=torch.uint8)}
    shapes: dict[str, dict[int, Any]] = {"image": {0: torch.export.Dim("windows")}}
    if not options.key_input:
        palettes = [part.palette for part in prompt.parts]
        encoded = [_encoded(network, part) for part in prompt.parts]
        companions = [part.companion for part in prompt.parts]
        return EmbeddedKey(network, encoded, palettes, companions).eval(), example, shapes
    if not isinstance(network, OneWaySegGPT):
        raise InputError(
            f"--key-input: {network.name} is not of the one-way layout; use --embed-key"
        )
    if any(part.kept_tokens is not None for part in prompt.parts):
        raise InputError(
            f"--key-input: {prompt.name} is compact, which no input can say; use --embed-key"
        )
    if any(part.companion is not None for part in prompt.parts):
        raise InputError(
            f"--key-input: {prompt.name} has a companion, which no input can say; use --embed-key"
        )
    images, classes = torch.export.Dim("images"), torch.export.Dim("classes")
    example |= {
        "key_images": torch.zeros(2, 3, canvas, canvas),
        "key_colors": torch.zeros(2, 3, canvas, canvas),
        "palette": torch.tensor([[255.0, 255, 255], [255, 0, 0]]),
        "type_shift": torch.zeros(network.config.dim),
        "seg_type": torch.zeros(1, dtype=torch.int64),
    }
    shapes |= {"key_images": {0: images}, "key_colors": {0: images}, "palette": {0: classes}}
    shapes |= {"type_shift": {}, "seg_type": {}}
    return KeyAsInput(network).eval(), example, shapes


@torch.no_grad()
def _encoded(network: SegGPT, prompt: Prompt) -> CachedPrompt | EncodedPrompt:
    images, colors = (normalize(x.float()) for x in prompt.at(network.config.canvas))
    encoded = network.encode_prompt(images, colors, prompt.seg_type, prompt.type_shift)
    return (
        encoded if prompt.kept_tokens is None else keep_tokens(network, encoded, prompt.kept_tokens)
    )


def _describe(
    model: "ModelProto", prompt: Prompt | Composition, segmenter: Segmenter, options: OnnxOptions
) -> dict[str, Any]:
    """Write into the file, and return, what a caller must know of the key and the backbone."""
    import onnx

    from prompttune import __version__

    first = prompt.parts[0]
    known: dict[str, Any] = {
        "backbone": segmenter.network.name,
        "fingerprint": segmenter.network.fingerprint,
        "window": segmenter.canvas(first),
        "precision": options.precision,
    }
    if not options.key_input:
        read = options_of(recipes_of(prompt))
        known |= {
            "bands": read.bands,
            "stretch": read.stretch,
            "name": prompt.name,
            "classes": list(prompt.palette.classes),
            "colors": [list(color) for color in prompt.palette.colors],
            "scale": first.known_scale,
            "groups": [
                {"classes": len(part.palette.classes), "threshold": part.threshold}
                for part in prompt.parts
            ],
            "license": None if first.card is None else first.card.licence,
        }
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA: json.dumps(known)})
    model.producer_name, model.producer_version = "prompttune", __version__
    model.doc_string = ""
    return known


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter tells of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def in_precision(model: "ModelProto", precision: str) -> "ModelProto":
    """Return a graph that computes in fp16 or int8, with inputs and outputs as they were.

    Args:
        model: in fp32.
        precision: "fp32" (nothing changes), "fp16" (all but what would lose its answer), or "int8":
            products with constant weights take 8-bit weights, a scale for each output, and round
            what comes in to 8 bits as they go.
    """
    if precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        return convert_float_to_float16(model, keep_io_types=True)
    return _int8(model) if precision == "int8" else model


def _int8(model: "ModelProto") -> "ModelProto":
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory(prefix="prompttune-") as folder, _root_logger_quiet():
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)


@contextmanager
def _root_logger_quiet() -> Iterator[None]:
    """Silence advice to run another tool first: what it would do, the exporter has done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
