"""Devices and precisions that there are, and those that are none."""

import pytest
import torch

from prompttune.utils.devices import choose_bf16, choose_device
from prompttune.utils.errors import InputError

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu", "cuda:", "CPU", "cuda:x", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="choose auto, cpu or cuda"):
        choose_device(name)


@pytest.mark.parametrize(("cuda", "count", "name", "kind"), [
    (False, 0, "auto", "cpu"), (True, 1, "auto", "cuda"), (True, 2, "cuda:1", "cuda"),
    (True, 1, "cpu", "cpu"),
])  # fmt: skip
def test_auto_takes_what_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, count: int, name: str, kind: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert choose_device(name).type == kind


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA device here"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="there are 1 here, cuda:0 to cuda:0"):
        choose_device("cuda:1")


def test_prediction_computes_alike_on_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert not choose_bf16("auto", CPU)
    assert choose_bf16("auto", CPU, on_cpu=True)
    assert choose_bf16("bf16", CPU)
    assert not choose_bf16("fp32", CPU, on_cpu=True)
    with pytest.raises(InputError, match="choose auto, fp32 or bf16"):
        choose_bf16("fp16", CPU)
