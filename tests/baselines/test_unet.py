"""The U-Net: its answer has the size of its input and a plane a class; without MONAI, one line."""

import sys

import pytest
import torch

from prompttune.baselines.unet import unet
from prompttune.utils.errors import InputError


def test_it_gives_a_plane_for_each_class_and_the_background() -> None:
    pytest.importorskip("monai", reason="the extra rivals is not installed")
    network = unet(2)
    assert network(torch.rand(1, 3, 32, 48)).shape == (1, 3, 32, 48)
    parameters = sum(each.numel() for each in network.parameters())
    assert 1.5e6 < parameters < 1.7e6


def test_without_monai_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(InputError, match=r"pip install 'prompttune\[rivals\]'"):
        unet(1)
