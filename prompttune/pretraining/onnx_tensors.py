"""The tensors of an ONNX graph, under the names that their layers had before the export."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED


def read_onnx(path: Path) -> dict[str, Tensor]:
    """Return the initializers of a graph by name, the weights of its linear layers included.

    An exporter folds `x @ weight.T` and leaves the transposed weight nameless
    (`onnx::MatMul_1966`). It belongs to the bias that is added to the product, and comes back
    beside it, `<layer>.weight` by `<layer>.bias`, transposed again. Shapes and dtypes are those of
    the file.

    Args:
        path: An `.onnx` file; tensors that it keeps in other files must lie beside it.

    Raises:
        InputError: Missing or damaged, or the package onnx is missing.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise InputError(
            f"{path}: reading it needs the package onnx; pip install 'prompttune[start]'"
        ) from error
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    try:
        return _tensors(onnx.load(path).graph)
    except (DecodeError, onnx.checker.ValidationError, OSError, *MALFORMED) as error:
        raise InputError(f"{path}: no whole ONNX file ({_line(error)}); fetch it again") from error


def _tensors(graph: Any) -> dict[str, Tensor]:
    from onnx import numpy_helper

    if not all(isinstance(x.name, str) for x in graph.initializer):
        raise ValueError("a tensor's name is no text")  # protobuf gives bytes that are no UTF-8
    tensors = {x.name: torch.from_numpy(numpy_helper.to_array(x).copy()) for x in graph.initializer}
    whole = [x for x in graph.node if len(x.input) == 2 and x.output]  # as both kinds below are
    products = {x.output[0]: x.input[1] for x in whole if x.op_type == "MatMul"}
    sums = [tuple(x.input) for x in whole if x.op_type == "Add"]
    for bias, product in (*sums, *(one[::-1] for one in sums)):
        weight = tensors.get(products.get(product, ""))
        if bias.endswith(".bias") and bias in tensors and weight is not None and weight.ndim == 2:
            tensors[f"{bias.removesuffix('bias')}weight"] = weight.T
    return tensors


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
