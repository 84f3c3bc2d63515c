"""Other number formats for a graph that was exported in fp32."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


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
