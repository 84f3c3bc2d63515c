"""The one-way layout against a plain one: answers, gradients, caches, files, canvases, export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from one_way_oracle import EXTRAS, slow_answer, slow_positions, small
from seggpt_oracle import CONFIGS, random_network, relative_error
from serving import CONFIG as ONE_WAY
from torch import Tensor, nn

from prompttune.backbone import SegGPTConfig, load
from prompttune.backbone.loading import at_canvas
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT, build, color_and_describe, describe
from prompttune.backbone.one_way_blocks import CachedPrompt
from prompttune.backbone.weights import save_weights
from prompttune.utils.errors import InputError


def network_of(config: SegGPTConfig) -> OneWaySegGPT:
    """Return a frozen random network that matches at a temperature which tells tokens apart."""
    network = random_network(config)
    assert isinstance(network, OneWaySegGPT)
    if network.matching is not None:
        network.matching.log_scale.add_(2)
    return network


@pytest.fixture(params=EXTRAS)
def network(request: pytest.FixtureRequest) -> OneWaySegGPT:
    return network_of(small(**EXTRAS[request.param]))


@pytest.fixture
def full() -> OneWaySegGPT:
    return network_of(small(**EXTRAS["all"]))


def pictures(network: SegGPT, *counts: int, seed: int = 1) -> Tensor:
    """Return random images, `counts x 3 x S x S`."""
    generator = torch.Generator().manual_seed(seed)
    side = network.config.canvas
    return torch.randn(*counts, 3, side, side, generator=generator)


@pytest.mark.parametrize("prompts", [1, 3])
@pytest.mark.parametrize("seg_type", [0, 1])
@torch.no_grad()
def test_answers_are_the_slow_ones(network: OneWaySegGPT, prompts: int, seg_type: int) -> None:
    images, colors = pictures(network, 2, prompts)
    queries = pictures(network, 2, seed=2)
    answers = network.ensemble(queries, images, colors, seg_type)
    for query, answer in zip(queries, answers, strict=True):
        expected = slow_answer(network, images, colors, query, seg_type)
        assert relative_error(answer, expected) < 1e-5


@pytest.mark.parametrize("prompts", [1, 3])
def test_gradients_are_the_slow_ones(network: OneWaySegGPT, prompts: int) -> None:
    inputs = [*pictures(network, 2, prompts), pictures(network, 1, seed=2)]
    inputs += [0.3 * torch.randn(network.config.dim, generator=torch.Generator().manual_seed(3))]
    images, colors, queries, shift = (x.requires_grad_() for x in inputs)
    weigh = pictures(network, 1, seed=4)
    answer = network.ensemble(queries, network.encode_prompt(images, colors, 0, shift))
    gradients = torch.autograd.grad((answer * weigh).sum(), inputs)
    expected = slow_answer(network, images, colors, queries[0], shift=shift)
    for gradient, wanted in zip(
        gradients, torch.autograd.grad((expected * weigh[0]).sum(), inputs), strict=True
    ):
        assert wanted.abs().max() > 1e-3
        assert relative_error(gradient, wanted) < 1e-4


@torch.no_grad()
def test_every_way_to_give_prompts_gives_one_answer(network: OneWaySegGPT) -> None:
    images, colors = pictures(network, 2, 3, 2)  # three prompts of two images
    queries = pictures(network, 3, seed=2)
    types = (0, 1, 0)
    cached = [network.encode_prompt(*each) for each in zip(images, colors, types, strict=True)]
    apart = [
        network.ensemble(queries[i : i + 1], images[i], colors[i], types[i])[0] for i in range(3)
    ]
    mixed = network.ensemble(queries, cached)
    together = network.ensemble(queries, CachedPrompt.one_a_query(cached))
    same = network.ensemble(queries, cached[1])
    assert torch.equal(mixed, together)
    for i, alone in enumerate(apart):
        assert relative_error(mixed[i], alone) < 1e-5
        by_second = network.ensemble(queries[i : i + 1], images[1], colors[1], types[1])
        assert relative_error(same[i : i + 1], by_second) < 1e-5
    assert relative_error(mixed[0], same[0]) > 1e-2  # prompts matter at all


@torch.no_grad()
def test_order_of_prompts_does_not_matter(network: OneWaySegGPT) -> None:
    images, colors = pictures(network, 2, 3)
    query = pictures(network, 1, seed=2)
    turned = network.ensemble(query, images.flip(0), colors.flip(0))
    assert relative_error(turned, network.ensemble(query, images, colors)) < 1e-5


def test_prompts_of_other_sizes_make_no_batch(full: OneWaySegGPT) -> None:
    one, two = (full.encode_prompt(*pictures(full, 2, count)) for count in (1, 2))
    assert (one.prompts, two.prompts) == (1, 2)
    with pytest.raises(InputError, match=r"prompts of \[1, 2\] images in one batch"):
        full.ensemble(pictures(full, 2), [one, two])
    with pytest.raises(InputError, match="need their colors"):
        full.ensemble(pictures(full, 2), pictures(full, 2))


@pytest.mark.parametrize("prompts", [1, 2])
@torch.no_grad()
def test_training_colors_as_ensembles_do(network: OneWaySegGPT, prompts: int) -> None:
    images, colors = pictures(network, 2, 2, prompts)
    queries = pictures(network, 2, 3, seed=2)
    answers = network.color(images, colors, queries, torch.tensor([1, 0]))
    assert answers.shape == queries.shape
    for task, seg_type in enumerate((1, 0)):
        alone = network.ensemble(queries[task], images[task], colors[task], seg_type)
        assert relative_error(answers[task], alone) < 1e-5


@torch.no_grad()
def test_a_canvas_is_a_prompt_above_a_query(network: OneWaySegGPT) -> None:
    image, target = pictures(network, 2, 2, 2).transpose(2, 3).flatten(3, 4).transpose(2, 3)
    image, target = (x.reshape(2, 3, -1, network.config.canvas) for x in (image, target))
    side, types = network.config.canvas, torch.tensor([0, 1])
    answers = network(image, target, torch.empty(0), types)
    for row, seg_type in enumerate((0, 1)):
        one = slice(row, row + 1)
        prompt = image[one, :, :side], target[one, :, :side]
        alone = network.ensemble(image[one, :, side:], *prompt, seg_type)
        assert relative_error(answers[one], alone) < 1e-5
    target[:, :, side:] = torch.nan  # hidden
    assert torch.equal(network(image, target, torch.empty(0), types), answers)
    with pytest.raises(InputError, match="colors the query half alone"):
        network(image, target, torch.empty(0), types, query_only=False)


@torch.no_grad()
def test_features_are_computed_once(network: OneWaySegGPT, monkeypatch) -> None:
    prompt = network.encode_prompt(*pictures(network, 2, 2))
    queries = pictures(network, 2, seed=2)
    expected, features = network.ensemble(queries, prompt), network.encode_images(queries)
    monkeypatch.setattr(network, "encode_images", None)
    assert torch.equal(network.ensemble(queries, prompt, features=features), expected)


def loss_and_gradients(network: OneWaySegGPT) -> tuple[list[Tensor], int]:
    """Return the gradients of inputs and weights, and how many values the graph has kept."""
    inputs = [*pictures(network, 2, 2, 2), pictures(network, 2, 2, seed=2)]
    wanted = [*(x.requires_grad_() for x in inputs), *network.parameters()]
    kept: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = network.color(*inputs, torch.tensor([0, 1])).square().sum()
        values = sum(kept.values())
    return list(torch.autograd.grad(loss, wanted, allow_unused=True)), values


def test_saving_memory_changes_no_gradient(network: OneWaySegGPT) -> None:
    network.requires_grad_(True)
    expected, much = loss_and_gradients(network)
    network.memory = "saving"
    gradients, little = loss_and_gradients(network)
    assert little < 0.7 * much
    for one, other in zip(gradients, expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_what_learns_is_all_that_the_decoder_reads(network: OneWaySegGPT) -> None:
    network.requires_grad_(True)
    gradients = loss_and_gradients(network)[0][3:]
    names = [name for name, _ in network.named_parameters()]
    idle = {name for name, one in zip(names, gradients, strict=True) if one is None}
    last = network.config.out_indices[-1]
    beyond = {name for name in names if name.startswith("blocks.") and int(name[7]) > last}
    assert idle == beyond


def test_a_prompt_never_sees_a_query(network: OneWaySegGPT, monkeypatch) -> None:
    made: list[CachedPrompt] = []
    encode = network._encode
    monkeypatch.setattr(network, "_encode", lambda *given: made.append(encode(*given)) or made[-1])
    images, colors = (x.requires_grad_() for x in pictures(network, 2, 2, 2))
    types = torch.tensor([0, 1])
    for seed in (2, 3):
        queries = pictures(network, 2, 2, seed=seed).requires_grad_()
        network.color(images, colors, queries, types)
        total = sum(x.square().sum() for x in made[-1].tensors)
        gradient, seen = torch.autograd.grad(total, (queries, images), allow_unused=True)
        assert gradient is None or not gradient.any()
        assert seen.abs().max() > 0
    for one, other in zip(made[0].tensors, made[1].tensors, strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def test_bf16_is_near(network: OneWaySegGPT) -> None:
    prompt, queries = pictures(network, 2, 3), pictures(network, 2, seed=2)
    exact = network.ensemble(queries, *prompt)
    whole = network.encode_prompt(*prompt)
    with torch.autocast("cpu", torch.bfloat16):
        answers = [network.ensemble(queries, *prompt), network.ensemble(queries, whole)]
    for answer in answers:
        assert 1e-5 < (answer - exact).square().mean() / exact.var() < 5e-3


def test_a_config_decides_the_layout() -> None:
    assert isinstance(build(small()), OneWaySegGPT)
    two_way = build(replace(small(), one_way=False, apart=0))
    assert type(two_way) is SegGPT


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
@torch.no_grad()
def test_files_keep_it(network: OneWaySegGPT, tmp_path: Path, dtype: torch.dtype) -> None:
    save_weights(network, tmp_path / "one-way.safetensors", dtype)
    loaded = load(tmp_path / "one-way.safetensors")
    assert isinstance(loaded, OneWaySegGPT)
    assert loaded.config == network.config
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    inputs = pictures(network, 2, seed=2), *pictures(network, 2, 2)
    exact, answer = network.ensemble(*inputs), loaded.ensemble(*inputs)
    error = (answer - exact).square().mean() / exact.var()
    assert error == 0 if dtype == torch.float32 else 0 < error < 0.02


@torch.no_grad()
def test_another_canvas_has_the_same_weights(network: OneWaySegGPT) -> None:
    assert at_canvas(network, network.config.canvas) is network
    other = at_canvas(network, 28)
    assert isinstance(other, OneWaySegGPT)
    assert other.config == replace(network.config, canvas=28)
    ours = dict(network.named_parameters())
    assert all(ours[name] is value for name, value in other.named_parameters())
    expected = slow_positions(network.pos_embed, other.config)
    assert relative_error(other._positions()[0], expected) < 1e-5
    images, colors = pictures(other, 2, 2)
    query = pictures(other, 1, seed=2)
    answer = other.ensemble(query, images, colors)[0]
    assert relative_error(answer, slow_answer(other, images, colors, query[0])) < 1e-5
    with pytest.raises(InputError, match="canvas=30 is no multiple"):
        at_canvas(network, 30)


class Answers(nn.Module):
    """A network with its prompt as constants: what is exported."""

    def __init__(self, network: OneWaySegGPT) -> None:
        super().__init__()
        self.network = network
        self.prompt = network.encode_prompt(*pictures(network, 2, 2))

    def forward(self, queries: Tensor) -> Tensor:
        return self.network.ensemble(queries, self.prompt)


BATCH = {"queries": {0: torch.export.Dim("batch")}}


@torch.no_grad()
def test_nothing_depends_on_data(network: OneWaySegGPT) -> None:
    model = Answers(network)
    # Nothing was computed before: what an exporter traces must not be left behind either.
    exported = torch.export.export(model, (pictures(network, 2),), dynamic_shapes=BATCH).module()
    for count in (1, 3):
        queries = pictures(network, count, seed=count)
        assert relative_error(exported(queries), model(queries)) < 1e-5


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # the exporter's own
@pytest.mark.parametrize("extras", ["plain", "all", "other-grid"])
@torch.no_grad()
def test_runs_in_onnx(extras: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = Answers(network_of(small(**EXTRAS[extras]))).eval()
    path = str(tmp_path / "answers.onnx")
    queries = pictures(model.network, 3)
    torch.onnx.export(model, (queries[:2],), path, dynamic_shapes=BATCH, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        (answer,) = session.run(None, {session.get_inputs()[0].name: queries[:count].numpy()})
        np.testing.assert_allclose(answer, model(queries[:count]), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_shares_a_batch_changes_no_bit(full: OneWaySegGPT) -> None:
    queries = pictures(full, 5, seed=2)
    cached = [full.encode_prompt(pictures(full, 1, seed=n), pictures(full, 1, seed=n + 9))
              for n in (3, 4)]  # fmt: skip
    mixed = full.ensemble(queries, [cached[n % 2] for n in range(5)])
    for n, prompt in enumerate(cached):
        own = full.ensemble(queries[n::2], prompt)
        assert torch.equal(own, mixed[n::2])


def networks() -> list[SegGPT]:
    torch.manual_seed(0)
    one_way = build(ONE_WAY).eval().requires_grad_(False)
    for parameter in one_way.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return [one_way, random_network(CONFIGS["merge-1"])]


@pytest.mark.parametrize("network", networks(), ids=["one way", "two way"])
def test_describing_changes_no_answer(network: SegGPT) -> None:
    side = network.config.canvas
    random = torch.Generator().manual_seed(1)
    images, colors = torch.rand(2, 2, 3, side, side, generator=random)
    queries = torch.rand(3, 3, side, side, generator=random)
    prompt = network.encode_prompt(images, colors, 0, None)
    with torch.no_grad():
        answers, features = color_and_describe(network, queries, prompt)
        torch.testing.assert_close(answers, network.ensemble(queries, prompt))
        assert features.shape == (3, network.config.dim)
        torch.testing.assert_close(features, describe(network, queries, lambda: prompt))
        alone = torch.cat([describe(network, one[None], lambda: prompt) for one in queries])
        torch.testing.assert_close(features, alone, rtol=1e-4, atol=1e-5)
    assert (features[0] - features[1]).abs().max() > 1e-4
