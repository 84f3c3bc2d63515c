"""Pre-training runs: they learn, and a broken one ends like an unbroken one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prompttune.backbone import SegGPTConfig, load
from prompttune.backbone.weights import load_weights
from prompttune.errors import InputError
from prompttune.pretrain import main
from prompttune.pretraining.module import InContextColouring, OptimiserConfig, colouring_loss
from prompttune.pretraining.run import PretrainRecipe, pretrain
from prompttune.shipped import shipped_folder

SMALL = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=2, heads=2, merge_block=0, taps=(0, 1),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
RECIPE = PretrainRecipe(SMALL, max_steps=6, batch=4, save_every=2, workers=0, precision="32-true",
                        optimiser=OptimiserConfig(lr=1e-2))  # fmt: skip


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_weights(path)[1]


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
    assert colouring_loss(output, target, weight, beta=0.5).item() == pytest.approx(
        summed / float(weight.sum())
    )


def test_a_broken_run_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = weights(pretrain(RECIPE, None, tmp_path / "whole", False, "cpu"))
    step = InContextColouring.training_step

    def breaks(self, batch, index):
        if self.global_step == 5:
            raise RuntimeError("power cut")
        return step(self, batch, index)

    monkeypatch.setattr(InContextColouring, "training_step", breaks)
    with pytest.raises(RuntimeError, match="power cut"):
        pretrain(RECIPE, None, tmp_path / "broken", False, "cpu")
    monkeypatch.undo()
    resumed = weights(pretrain(RECIPE, None, tmp_path / "broken", True, "cpu"))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    other = weights(pretrain(replace(RECIPE, seed=1), None, tmp_path / "other", False, "cpu"))
    assert not torch.equal(whole["norm.weight"], other["norm.weight"])


def test_goes_on_from_weights_at_another_canvas(tmp_path: Path) -> None:
    first = pretrain(RECIPE, None, tmp_path / "first", False, "cpu")
    larger = replace(SMALL, canvas=32, pretrain_canvas=32)
    second = pretrain(
        replace(RECIPE, backbone=larger, init=first), None, tmp_path / "second", False, "cpu"
    )
    network = load(second)
    assert network.config == larger
    assert not any(p.requires_grad for p in network.parameters())


def test_refuses_to_start_over_another_run(tmp_path: Path) -> None:
    pretrain(RECIPE, None, tmp_path, False, "cpu")
    with pytest.raises(InputError, match="--resume"):
        pretrain(RECIPE, None, tmp_path, False, "cpu")


def test_every_shipped_recipe_is_understood_by_the_command(tmp_path: Path, capsys) -> None:
    from prompttune.pretrain import read_recipe

    paths = sorted(shipped_folder("recipes").glob("pretrain*.yaml"))
    assert paths
    for path in paths:
        recipe = read_recipe(path, max_steps=7)
        assert recipe.max_steps == 7
        assert recipe.sets


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("backbone: {canvas: 33}", "canvas"),
        ("nonsense: 1", "nonsense"),
        ("batch: many", "batch"),
        ("[", "recipe"),
    ],
)
def test_a_wrong_recipe_is_one_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(InputError, match=complaint):
        main(["--recipe", str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()
