"""Tensors of a graph by the names that their layers had."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompttune.pretraining.onnx_tensors import read_onnx
from prompttune.utils.errors import InputError

onnx = pytest.importorskip("onnx", reason="the extra start is not installed")


def graph(path: Path) -> np.ndarray:
    from onnx import TensorProto, helper, numpy_helper

    weight = np.arange(6, dtype=np.float32).reshape(2, 3)  # of an export: transposed
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_1"], ["product"]),
        helper.make_node("Add", ["layer.bias", "product"], ["y"]),
    ]
    made = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(weight, "onnx::MatMul_1"),
         numpy_helper.from_array(np.ones(3, np.float32), "layer.bias")],
    )  # fmt: skip
    onnx.save(helper.make_model(made), path)
    return weight


def test_a_folded_weight_comes_back_beside_its_bias(tmp_path: Path) -> None:
    weight = graph(tmp_path / "a.onnx")
    tensors = read_onnx(tmp_path / "a.onnx")
    assert np.array_equal(tensors["layer.weight"].numpy(), weight.T)
    assert tensors["layer.bias"].tolist() == [1, 1, 1]


BROKEN: dict[str, Callable[[Any], object]] = {
    "a product of one": lambda graph: graph.node[0].input.pop(),
    "a sum of one": lambda graph: graph.node[1].input.pop(),
    "a product that goes nowhere": lambda graph: graph.node[0].output.pop(),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_nodes_that_are_no_layers_are_passed_over(tmp_path: Path, kind: str) -> None:
    graph(tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    BROKEN[kind](model.graph)
    onnx.save(model, tmp_path / "a.onnx")
    assert sorted(read_onnx(tmp_path / "a.onnx")) == ["layer.bias", "onnx::MatMul_1"]


def test_values_of_no_known_type(tmp_path: Path) -> None:
    graph(tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    model.graph.initializer[0].data_type = 99
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(InputError, match=r"a\.onnx: no whole ONNX file"):
        read_onnx(tmp_path / "a.onnx")


def test_what_is_no_graph_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\xff\xff not a graph")
    with pytest.raises(InputError, match=r"a\.onnx: no whole ONNX file"):
        read_onnx(tmp_path / "a.onnx")
    with pytest.raises(InputError, match="no such file"):
        read_onnx(tmp_path / "b.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'prompttune\[start\]'"):
        read_onnx(tmp_path / "a.onnx")
