"""Steps of in-context coloring: loss, optimizers, rates, and which samples they take."""

import pytest
import torch
from one_way_config import ONE_WAY

from prompttune.backbone.one_way import build
from prompttune.data.crops import collate
from prompttune.pretraining.init import initialize
from prompttune.pretraining.module import InContextColoring, _as_tasks, _join, coloring_loss
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.utils.normalize import normalize


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
    loss = coloring_loss(output, target, weight, beta=0.5)
    assert loss.item() == pytest.approx(summed / float(weight.sum()))
    part = coloring_loss(output, target, weight, beta=0.5, total=torch.tensor(50.0))
    assert part.item() == pytest.approx(summed / 50)


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
    initialize(network, seed=0)
    module = InContextColoring(network, OptimizerConfig(), max_steps=1)
    batch = _as_tasks(made_tasks(), 2)
    total = batch["weight"].sum()
    expected = torch.zeros(())
    for task in range(2):
        prompt = normalize(batch["images"][task]), normalize(batch["colors"][task])
        for query in range(2):
            asked, target = (normalize(batch[name][task, query]) for name in ("queries", "target"))
            answer = network.ensemble(asked[None], *prompt, int(batch["seg_type"][task]))[0]
            off = (answer - target).abs()
            slow = torch.where(off < 1, off**2 / 2, off - 0.5).mean(0)
            expected += (slow * batch["weight"][task, query, 0]).sum() / total
    assert module._loss(batch, total).item() == pytest.approx(expected.item(), rel=1e-5)
