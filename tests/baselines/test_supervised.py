import sys

import numpy as np
import pytest
import torch
from torch import nn

from prompttune.baselines.supervised import Budget, predict_tiled, train_rival, unet
from prompttune.data.layouts import LoadedSample
from prompttune.utils.errors import InputError


def striped(seed: int, size: int = 40) -> LoadedSample:
    """Red is class 1, blue class 2, green background: a 1 x 1 convolution can learn it."""
    rng = np.random.default_rng(seed)
    class_map = rng.integers(0, 3, (size // 8, size // 8)).repeat(8, 0).repeat(8, 1)
    colors = np.array([(30, 160, 40), (200, 40, 40), (40, 40, 200)])[class_map]
    noisy = colors + rng.integers(-20, 20, (size, size, 3))
    return LoadedSample(f"s{seed}", noisy.clip(0, 255).astype(np.uint8), class_map.astype(np.uint8))


def test_it_learns_and_keeps_the_best() -> None:
    budget = Budget(seconds=4, crop=16, scale=1.0, lr=0.1, batch=4, val_every=5, val_crops=4)
    trained = train_rival(
        nn.Conv2d(3, 3, 1), 2, [striped(0), striped(1)], [striped(2)], budget,
        torch.device("cpu"), "test",
    )  # fmt: skip
    network, seconds = trained.network, [at for at, _ in trained.history]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert trained.history[-1][1] > 0.9
    unseen = striped(3)
    scores = predict_tiled(network, unseen.image, budget, 0.25, torch.device("cpu"))
    assert scores.shape == (2, 40, 40)
    assert scores.dtype == np.float32
    answer = np.concatenate((1 - scores.sum(0, keepdims=True), scores)).argmax(0)
    assert (answer == unseen.class_map).mean() > 0.9
    assert not network.training


def test_patience_ends_a_run_that_does_not_improve() -> None:
    budget = Budget(
        seconds=60, crop=16, scale=1.0, lr=1e-12, batch=1, val_every=1, val_crops=1, patience=2
    )
    before = nn.Conv2d(3, 3, 1)
    steps = []
    before.register_forward_hook(lambda module, *_: steps.append(module.training))
    train_rival(before, 2, [striped(0)], [striped(0)], budget, torch.device("cpu"), "test")
    assert sum(steps) <= 4


def test_tiles_of_a_pixelwise_network_are_its_answer_to_the_whole() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 2, 1)
    image = striped(5).image[:33]
    tiled = predict_tiled(network, image, Budget(1, 16, 1.0), 0.5, torch.device("cpu"))
    from prompttune.utils.normalize import normalize, to_tensor

    with torch.no_grad():
        whole = network(normalize(to_tensor(image))[None]).softmax(1)[0, 1:].numpy()
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_unet_maps_pixels_to_logits() -> None:
    pytest.importorskip("monai")
    logits = unet(2)(torch.randn(1, 3, 32, 32))
    assert logits.shape == (1, 3, 32, 32)


def test_unet_without_monai_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(InputError, match=r"pip install 'prompttune\[rivals\]'"):
        unet(1)


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
