"""Steps of in-context colouring: loss, optimisers, rates, and which samples they take."""

import math

import pytest
import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.data.batches import Share, StepSampler, collate
from prompttune.pretraining.init import initialise
from prompttune.pretraining.module import InContextColouring, _as_tasks, _join, colouring_loss
from prompttune.pretraining.optimizers import OptimiserConfig, optimisers, rate
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import normalise

SMALL = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=2, heads=2, merge_block=0, taps=(0, 1),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip

ONE_WAY = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=4, heads=2, taps=(2, 3), decoder_dim=4, pretrain_canvas=16,
    one_way=True, apart=2, class_token=True, match_taps=(0,), image_taps=(1,), pixel_dim=2,
)  # fmt: skip


def test_loss_equals_a_slow_sum() -> None:
    torch.manual_seed(0)
    output, target, weight = (
        torch.randn(2, 3, 4, 4),
        torch.randn(2, 3, 4, 4),
        torch.rand(2, 1, 4, 4),
    )
    summed = 0.0
    for b, c, y, x in torch.cartesian_prod(*map(torch.arange, output.shape)).tolist():
        off = abs(float(output[b, c, y, x] - target[b, c, y, x]))
        summed += float(weight[b, 0, y, x]) * (off**2 if off < 0.5 else off - 0.25) / 3
    loss = colouring_loss(output, target, weight, beta=0.5)
    assert loss.item() == pytest.approx(summed / float(weight.sum()))
    part = colouring_loss(output, target, weight, beta=0.5, total=torch.tensor(50.0))
    assert part.item() == pytest.approx(summed / 50)


def test_every_parameter_is_trained_once_and_matrices_alone_decay() -> None:
    network = SegGPT(SMALL)
    for name in ("muon+adamw", "adamw"):
        each = optimisers(network, OptimiserConfig(name=name, weight_decay=0.1))
        assert [type(one).__name__.lower() for one in each] == name.split("+")
        groups = [group for one in each for group in one.param_groups]
        trained = [id(parameter) for group in groups for parameter in group["params"]]
        assert sorted(trained) == sorted(map(id, network.parameters()))
        for group in groups:
            decays = {parameter.ndim == 2 for parameter in group["params"]}
            assert (group["weight_decay"] == 0.1) == (decays == {True})
    tables = {id(value) for name, value in network.named_parameters() if "rel_pos" in name}
    (muon, _) = optimisers(network, OptimiserConfig())
    assert not tables & {id(one) for group in muon.param_groups for one in group["params"]}


@pytest.mark.parametrize("sizes", [SMALL, ONE_WAY], ids=["two-way", "one-way"])
def test_the_first_blocks_learn_least(sizes: SegGPTConfig) -> None:
    network = build(sizes)
    config = OptimiserConfig(name="adamw", lr=0.8, layer_decay=0.5, weight_decay=0.1)
    (adamw,) = optimisers(network, config)
    groups = {id(one): group for group in adamw.param_groups for one in group["params"]}
    assert sum(len(group["params"]) for group in adamw.param_groups) == len(groups)
    assert groups.keys() == {id(one) for one in network.parameters()}
    found = {name: groups[id(one)]["lr"] for name, one in network.named_parameters()}
    for block, index in zip(network.blocks, range(sizes.depth), strict=True):
        rates = {groups[id(one)]["lr"] for one in block.parameters()}
        assert rates == {0.8 * 0.5 ** (sizes.depth - 1 - index)}
    embedding = {"patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed"}
    for name, lr in found.items():
        if name in embedding:
            assert lr == pytest.approx(0.8 * 0.5**sizes.depth)
        elif not name.startswith("blocks."):
            assert lr == 0.8, name
    for name, one in network.named_parameters():
        decays = one.ndim == 2 and "rel_pos" not in name
        assert groups[id(one)]["weight_decay"] == (0.1 if decays else 0), name


def test_layer_decay_is_for_adamw_alone() -> None:
    for wrong in (0.0, 1.5):
        with pytest.raises(InputError, match=f"layer_decay must be in 0..1, not {wrong}"):
            OptimiserConfig(name="adamw", layer_decay=wrong)
    with pytest.raises(InputError, match="layer_decay is for name: adamw"):
        OptimiserConfig(layer_decay=0.9)


def test_rates_rise_and_fall_as_worked_out_by_hand() -> None:
    linear = OptimiserConfig(warmup=0.2, decay=0.5)
    assert [rate(linear, step, 10) for step in range(11)] == pytest.approx(
        [0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0]
    )
    cosine = OptimiserConfig(warmup=0.2, decay=0.5, schedule="cosine")
    falling = [0.5 * (1 + math.cos(math.pi * done / 5)) for done in range(6)]
    assert [rate(cosine, step, 10) for step in range(11)] == pytest.approx(
        [0.5, 1, 1, 1, 1, *falling]
    )
    only_up = OptimiserConfig(warmup=1.0, decay=0.0)
    assert [rate(only_up, step, 4) for step in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(
    "wrong", [{"lr": 0.0}, {"clip": -1.0}, {"beta": 0.0}, {"warmup": 1.5}, {"weight_decay": -0.1}]
)
def test_values_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"optimiser.{next(iter(wrong))}"):
        OptimiserConfig(**wrong)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
@pytest.mark.parametrize("made", [0, 1, 4, 12])
def test_devices_share_a_batch_without_loss_or_repeat(world: int, made: int) -> None:
    shares = [Share(12, made, rank, world) for rank in range(world)]
    for step in (0, 5):
        both = [[*one.loaded(step), *one.generated(step)] for one in shares]
        assert {len(indices) for indices in both} == {12 // world}
        every = sorted(index for indices in both for index in indices)
        assert every == list(range(12 * step, 12 * step + 12))
        generated = sorted(index for one in shares for index in one.generated(step))
        assert generated == list(range(12 * step + 12 - made, 12 * step + 12))


def test_the_sampler_goes_on_where_a_run_stopped() -> None:
    share = Share(4, made=1)
    whole = iter(StepSampler(share))
    _ = next(whole), next(whole)
    resumed = iter(StepSampler(share, start=2))
    assert next(whole) == next(resumed) == [8, 9, 10]


def test_loaded_and_generated_samples_make_one_batch() -> None:
    loaded = collate([{"image": torch.ones(2), "weight": torch.ones(1)}] * 3)
    generated = {"image": torch.zeros(1, 2), "weight": torch.zeros(1, 1, dtype=torch.bfloat16)}
    both = _join(loaded, generated)
    assert both["image"].tolist() == [[1, 1]] * 3 + [[0, 0]]
    assert both["weight"].dtype == torch.float32
    assert _join(loaded, {}) is loaded
    assert _join(collate([]), generated) is generated


def made_tasks() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 4, 3, 16, 16)
    return {
        "images": torch.rand(shape, generator=generator),
        "targets": torch.rand(shape, generator=generator),
        "weight": torch.rand(2, 4, 1, 16, 16, generator=generator),
        "seg_type": torch.tensor([1, 0]),
    }


@pytest.mark.parametrize("prompts", [1, 3])
def test_tasks_are_parted_into_prompts_and_queries(prompts: int) -> None:
    batch = made_tasks()
    parts = _as_tasks(batch, prompts)
    assert torch.equal(torch.cat((parts["images"], parts["queries"]), 1), batch["images"])
    assert torch.equal(torch.cat((parts["colors"], parts["target"]), 1), batch["targets"])
    assert torch.equal(parts["weight"], batch["weight"][:, prompts:])
    assert parts["images"].shape[1] == parts["colors"].shape[1] == prompts
    assert parts["seg_type"] is batch["seg_type"]


def test_a_pair_is_a_task_of_one_prompt_and_one_query() -> None:
    made = made_tasks()
    pairs = {
        "image": torch.cat(made["images"][:, :2].unbind(1), 2),  # one above the other
        "target": torch.cat(made["targets"][:, :2].unbind(1), 2),
        "weight": torch.cat(made["weight"][:, :2].unbind(1), 2),
        "masked": torch.ones(2, 8, dtype=torch.bool),
        "seg_type": made["seg_type"],
    }
    first_two = {name: x[:, :2] if x.ndim == 5 else x for name, x in made.items()}
    expected = _as_tasks(first_two, 1)
    for prompts in (1, 2):
        parts = _as_tasks(pairs, prompts)
        assert parts.keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in parts.items())


def test_the_loss_of_tasks_is_that_of_their_queries_one_by_one() -> None:
    network = build(ONE_WAY)
    initialise(network, seed=0)
    module = InContextColouring(network, OptimiserConfig(), max_steps=1)
    batch = _as_tasks(made_tasks(), 2)
    total = batch["weight"].sum()
    expected = torch.zeros(())
    for task in range(2):
        prompt = normalise(batch["images"][task]), normalise(batch["colors"][task])
        for query in range(2):
            asked, target = (normalise(batch[name][task, query]) for name in ("queries", "target"))
            answer = network.ensemble(asked[None], *prompt, int(batch["seg_type"][task]))[0]
            off = (answer - target).abs()
            slow = torch.where(off < 1, off**2 / 2, off - 0.5).mean(0)
            expected += (slow * batch["weight"][task, query, 0]).sum() / total
    assert module._loss(batch, total).item() == pytest.approx(expected.item(), rel=1e-5)
