"""What is trained how fast."""

import math

import pytest
from one_way_config import ONE_WAY

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.pretraining.optimizers import OptimizerConfig, optimizers, rate
from prompttune.utils.errors import InputError

SMALL = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=2, heads=2, merge_index=0, out_indices=(0, 1),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


def test_every_parameter_is_trained_once_and_matrices_alone_decay() -> None:
    network = SegGPT(SMALL)
    for name in ("muon+adamw", "adamw"):
        each = optimizers(network, OptimizerConfig(name=name, weight_decay=0.1))
        assert [type(one).__name__.lower() for one in each] == name.split("+")
        groups = [group for one in each for group in one.param_groups]
        trained = [id(parameter) for group in groups for parameter in group["params"]]
        assert sorted(trained) == sorted(map(id, network.parameters()))
        for group in groups:
            decays = {parameter.ndim == 2 for parameter in group["params"]}
            assert (group["weight_decay"] == 0.1) == (decays == {True})
    tables = {id(value) for name, value in network.named_parameters() if "rel_pos" in name}
    (muon, _) = optimizers(network, OptimizerConfig())
    assert not tables & {id(one) for group in muon.param_groups for one in group["params"]}


@pytest.mark.parametrize("sizes", [SMALL, ONE_WAY], ids=["two-way", "one-way"])
def test_the_first_blocks_learn_least(sizes: SegGPTConfig) -> None:
    network = build(sizes)
    config = OptimizerConfig(name="adamw", lr=0.8, layer_decay=0.5, weight_decay=0.1)
    (adamw,) = optimizers(network, config)
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
            OptimizerConfig(name="adamw", layer_decay=wrong)
    with pytest.raises(InputError, match="layer_decay is for name: adamw"):
        OptimizerConfig(layer_decay=0.9)


def test_rates_rise_and_fall_as_worked_out_by_hand() -> None:
    linear = OptimizerConfig(warmup=0.2, decay=0.5)
    assert [rate(linear, step, 10) for step in range(11)] == pytest.approx(
        [0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0]
    )
    cosine = OptimizerConfig(warmup=0.2, decay=0.5, schedule="cosine")
    falling = [0.5 * (1 + math.cos(math.pi * done / 5)) for done in range(6)]
    assert [rate(cosine, step, 10) for step in range(11)] == pytest.approx(
        [0.5, 1, 1, 1, 1, *falling]
    )
    only_up = OptimizerConfig(warmup=1.0, decay=0.0)
    assert [rate(only_up, step, 4) for step in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(
    "wrong", [{"lr": 0.0}, {"clip": -1.0}, {"beta": 0.0}, {"warmup": 1.5}, {"weight_decay": -0.1}]
)
def test_values_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"optimizer.{next(iter(wrong))}"):
        OptimizerConfig(**wrong)
