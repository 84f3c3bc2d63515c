"""Tuning runs: what is learned, what is not touched, and that killed ones end like others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import default_collate
from torchmetrics.classification import MulticlassF1Score

from prompttune.backbone import at_canvas, load
from prompttune.backbone.weights import save_weights
from prompttune.data.crops import CropDataset
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.recipe import Recipe
from prompttune.tuning import run
from prompttune.tuning.init import starting_prompt
from prompttune.tuning.learnable import LearnablePrompt
from prompttune.tuning.loss import dice_loss
from prompttune.tuning.module import PromptTuning
from prompttune.tuning.run import CHECKPOINT, Machine, tune
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import normalize

QUIET = Machine(progress=False)


def pixels(prompt) -> torch.Tensor:
    halves = [half for part in prompt.parts for half in (part.images, part.colors)]
    return torch.cat([plane for half in halves for plane in half])


def test_network_stays_bit_identical_in_eval_and_without_gradients(
    network, recipe, data, tmp_path
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = []
    hook = network.blocks[0].register_forward_hook(lambda module, *_: modes.append(module.training))
    tune(recipe, network, data, tmp_path / "run", QUIET)
    hook.remove()
    assert modes
    assert not any(modes)
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_brought_back_to_its_device(
    network, recipe, data, tmp_path, monkeypatch, fails: bool
) -> None:
    """Lightning leaves it on the CPU, where whoever asks the network next does not look for it."""
    there = []
    monkeypatch.setattr(network, "to", lambda device: there.append(device))

    def ends(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if fails:
        monkeypatch.setattr(run.pl.Trainer, "fit", ends)
    with pytest.raises(KeyboardInterrupt) if fails else nullcontext():
        tune(recipe, network, data, tmp_path / "run", QUIET)
    assert there == [torch.device("cpu")]


@pytest.mark.parametrize("learn", ["image", "colors", "both"])
def test_learns_the_halves_that_it_is_told_to(network, recipe, data, tmp_path, learn: str) -> None:
    recipe = replace(recipe, learn=learn)
    start = starting_prompt(recipe, 16, data.train)
    prompt = tune(recipe, network, data, tmp_path / "run", QUIET).prompt
    assert torch.equal(prompt.images[0], start.images[0]) == (learn == "colors")
    assert torch.equal(prompt.colors[0], start.colors[0]) == (learn == "image")


def test_tuning_gains_on_images_that_it_has_not_seen(data, tmp_path) -> None:
    """With the embedded backbone, on squares of other images."""
    network = load("seggpt-small")
    recipe = Recipe("squares", init="example", max_steps=40, val_every=40, batch=4, val_crops=4)
    canvas = network.config.canvas
    crops = default_collate(list(CropDataset(data.test, canvas, 1.0, 1, 8)))

    def loss(prompt: Prompt) -> float:
        with torch.no_grad():
            (answer,) = LearnablePrompt(prompt, canvas, "both", True)(network, crops["image"])
        return dice_loss(prompt.palette.scores(answer), crops["class_map"]).item()

    tuned = tune(recipe, network, data, tmp_path / "run", QUIET).prompt
    assert loss(tuned) < 0.9 * loss(starting_prompt(recipe, canvas, data.train))


def test_pixels_stay_a_picture_only_where_bounded(network, recipe, data, tmp_path) -> None:
    recipe = replace(recipe, lr=5.0)
    bounded = pixels(tune(recipe, network, data, tmp_path / "a", QUIET).prompt)
    free = pixels(tune(replace(recipe, bounded=False), network, data, tmp_path / "b", QUIET).prompt)
    assert 0 <= bounded.min() <= bounded.max() <= 1
    assert free.min() < 0 or free.max() > 1


def test_one_seed_gives_one_key_and_another_another(network, recipe, data, tmp_path) -> None:
    first, again = (
        pixels(tune(recipe, network, data, tmp_path / name, QUIET).prompt) for name in "ab"
    )
    other = pixels(tune(replace(recipe, seed=1), network, data, tmp_path / "c", QUIET).prompt)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_key_of_too_many_images_is_refused_before_it_is_learned(
    network, grouped, many, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("prompttune.utils.bounds.PROMPT_PIXELS", 2 * network.config.canvas**2)
    with pytest.raises(InputError, match="3 images on a canvas of"):
        tune(replace(grouped, group=2), network, many, tmp_path, QUIET)


@pytest.mark.parametrize("kind", ["one", "groups", "disturbed", "chosen"])
def test_a_broken_run_resumes_to_the_same_key(
    network, recipe, grouped, data, many, tmp_path, monkeypatch, kind: str
) -> None:
    if kind == "groups":
        recipe, data = grouped, many
    if kind == "disturbed":
        recipe = replace(recipe, jitter=0.1, dropout=0.1)
    if kind == "chosen":
        recipe = replace(recipe, init="best-generated", learn="image")
    whole = tune(recipe, network, data, tmp_path / "whole", QUIET)
    step = PromptTuning.training_step

    def breaks(self, batch, index):
        if self.global_step == 5:  # the last checkpoint is of step 4
            raise RuntimeError("power cut")
        return step(self, batch, index)

    monkeypatch.setattr(PromptTuning, "training_step", breaks)
    with pytest.raises(RuntimeError, match="power cut"):
        tune(recipe, network, data, tmp_path / "broken", QUIET)
    monkeypatch.undo()
    monkeypatch.setattr(run, "_judged", None)  # the start was chosen already
    resumed = tune(recipe, network, data, tmp_path / "broken", QUIET, resume=True)
    assert torch.equal(pixels(whole.prompt), pixels(resumed.prompt))
    assert resumed.seconds > 0
    assert (whole.step, whole.val_dice) == (resumed.step, resumed.val_dice)
    finished = tune(recipe, network, data, tmp_path / "broken", QUIET, resume=True)
    assert torch.equal(pixels(whole.prompt), pixels(finished.prompt))


def test_checkpoints_leave_the_network_out(network, recipe, data, tmp_path) -> None:
    tune(recipe, network, data, tmp_path / "run", QUIET)
    checkpoint = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert set(checkpoint["state_dict"]) == {"prompt.images", "prompt.colors"}


def test_a_run_of_the_first_version_goes_on(network, recipe, data, tmp_path) -> None:
    tuned = tune(recipe, network, data, tmp_path / "run", QUIET)
    path = tmp_path / "run" / CHECKPOINT
    checkpoint = torch.load(path, weights_only=True)
    for kept in (checkpoint["state_dict"], checkpoint["best"]["learned"]):
        for name in [name for name in kept if name.endswith("colors")]:
            kept[name.replace("colors", "colours")] = kept.pop(name)
    torch.save(checkpoint, path)
    finished = tune(recipe, network, data, tmp_path / "run", QUIET, resume=True)
    assert torch.equal(pixels(finished.prompt), pixels(tuned.prompt))


class Untouchable(Sequence):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index):
        raise AssertionError("a test image was read")


def test_test_images_are_never_read(network, recipe, data, tmp_path) -> None:
    tune(recipe, network, replace(data, test=Untouchable()), tmp_path / "run", QUIET)


def test_refuses_to_start_over_another_run(network, recipe, data, tmp_path) -> None:
    tune(recipe, network, data, tmp_path / "run", QUIET)
    with pytest.raises(InputError, match="--resume"):
        tune(recipe, network, data, tmp_path / "run", QUIET)


def test_refuses_to_resume_a_different_run(network, recipe, data, tmp_path) -> None:
    tune(recipe, network, data, tmp_path / "run", QUIET)
    with pytest.raises(InputError, match=r"other lr"):
        tune(replace(recipe, lr=0.1), network, data, tmp_path / "run", QUIET, resume=True)
    network.fingerprint = "e" * 64
    with pytest.raises(InputError, match=r"other backbone"):
        tune(recipe, network, data, tmp_path / "run", QUIET, resume=True)


def test_gradient_reaches_the_prompt_through_a_clamp_free_path(network, recipe, data) -> None:
    start = starting_prompt(recipe, 16, data.train)
    prompt = LearnablePrompt(start, 16, "both", bounded=True)
    with torch.no_grad():  # at the bounds, where a clamp in the forward would give no gradient
        prompt.colors.copy_(prompt.colors.round())
    prompt(network, torch.rand(2, 3, 16, 16)).sum().backward()
    assert prompt.colors.grad is not None
    assert prompt.images.grad is not None
    assert prompt.colors.grad.ne(0).float().mean() > 0.9


def fit_command(folder: Path, name: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "prompttune.fit", "--task", "retina", "--device", "cpu",
        "--backbone", str(folder / "small.safetensors"), "--prompts_zoo", str(folder / "zoo"),
        "--name", name, "--output", str(folder / name), "--max_steps", "60", "--val_every", "3",
        "--batch", "2", "--val_crops", "4", *more,
    ]  # fmt: skip


def test_sigkill_and_resume_end_with_the_same_key(network, tmp_path) -> None:
    save_weights(network, tmp_path / "small.safetensors")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(fit_command(tmp_path, "whole"), check=True, env=environment, capture_output=True)
    killed = subprocess.Popen(
        fit_command(tmp_path, "killed"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoint = tmp_path / "killed" / CHECKPOINT
    while not checkpoint.exists() and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "zoo" / "killed").exists()
    step = torch.load(checkpoint, weights_only=True)["global_step"]
    assert step < 60
    subprocess.run(
        fit_command(tmp_path, "killed", "--resume"),
        check=True,
        env=environment,
        capture_output=True,
    )
    from prompttune.prompts.loading import load_key

    (whole, card), (resumed, resumed_card) = (
        load_key(tmp_path / "zoo" / name) for name in ("whole", "killed")
    )
    assert torch.equal(pixels(whole), pixels(resumed))
    assert whole.threshold == resumed.threshold
    assert card.recipe == resumed_card.recipe
    assert json.loads((tmp_path / "killed" / "report" / "comparison.json").read_text())["rows"]


def test_average_is_what_is_validated_and_kept(network, recipe, data, tmp_path) -> None:
    recipe = replace(recipe, ema=0.9, val_every=6)
    module = PromptTuning(
        network, LearnablePrompt(starting_prompt(recipe, 16, data.train), 16, "both", True), recipe
    )
    assert module.kept is module.average is not module.prompt
    plain = tune(replace(recipe, ema=0.0), network, data, tmp_path / "plain", QUIET).prompt
    averaged = tune(recipe, network, data, tmp_path / "averaged", QUIET).prompt
    start = pixels(starting_prompt(recipe, 16, data.train))
    assert not torch.equal(pixels(averaged), pixels(plain))
    assert (pixels(averaged) - start).norm() < (pixels(plain) - start).norm()


def test_patience_ends_a_run_and_its_resumption(network, recipe, data, tmp_path) -> None:
    recipe = replace(recipe, lr=1e-12, max_steps=20, val_every=1, patience=3)
    tuned = tune(recipe, network, data, tmp_path / "run", QUIET)
    checkpoint = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert checkpoint["global_step"] == 1 + recipe.patience
    again = tune(recipe, network, data, tmp_path / "run", QUIET, resume=True)
    assert torch.equal(pixels(again.prompt), pixels(tuned.prompt))
    after = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert after["global_step"] == checkpoint["global_step"]


@pytest.mark.parametrize("option", [{"jitter": 0.5}, {"dropout": 0.5}])
def test_disturbances_act_in_training_alone(network, recipe, data, option) -> None:
    prompt = LearnablePrompt(starting_prompt(recipe, 16, data.train), 16, "both", True, **option)
    queries = torch.rand(1, 3, 16, 16)
    first, second = (prompt.train()(network, queries) for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (prompt.eval()(network, queries) for _ in range(2))
    assert torch.equal(first, second)


def test_best_example_is_the_best_of_those_drawn(network, recipe, data, tmp_path) -> None:
    prompts = []
    recipe = replace(recipe, init="best-example")

    def judge(tried: Sequence[Prompt]) -> list[float]:
        prompts.extend(tried)
        return [0.2, 0.9, 0.5]

    chosen = starting_prompt(recipe, 16, data.train, judge)
    assert len(prompts) == len(data.train)
    assert torch.equal(chosen.images[0], prompts[1].images[0])
    tune(replace(recipe, max_steps=2), network, data, tmp_path / "run", QUIET)


def test_choosing_the_start_counts_as_tuning_time(
    network, recipe, data, tmp_path, monkeypatch
) -> None:
    judged = run._judged

    def slow(*args):
        time.sleep(0.5)
        return judged(*args)

    monkeypatch.setattr(run, "_judged", slow)
    chosen = replace(recipe, init="best-generated", max_steps=2)
    tuned = tune(chosen, network, data, tmp_path / "run", QUIET)
    assert tuned.seconds > 0.5
    assert tuned.history[0][0] > 0.5


def test_a_start_that_no_step_betters_is_kept(network, recipe, data, tmp_path, monkeypatch) -> None:
    values = iter([0.5, 0.3, 0.2, 0.4])
    monkeypatch.setattr(MulticlassF1Score, "compute", lambda self: torch.full((2,), next(values)))
    recipe = replace(recipe, init="example")
    tuned = tune(recipe, network, data, tmp_path / "run", QUIET)
    assert (tuned.step, tuned.val_dice) == (0, 0.5)
    assert [dice for _, dice in tuned.history] == pytest.approx([0.5, 0.3, 0.2, 0.4])
    start = starting_prompt(recipe, 16, data.train)
    assert torch.equal(pixels(tuned.prompt), pixels(start))


def test_mean_start_is_the_mean_of_examples(recipe, data) -> None:
    mean = starting_prompt(replace(recipe, init="mean"), 16, data.train)
    examples = starting_prompt(replace(recipe, init="example", prompts=3), 16, data.train)
    torch.testing.assert_close(mean.images[0], torch.stack(examples.images).mean(0))
    torch.testing.assert_close(mean.colors[0], torch.stack(examples.colors).mean(0))


def test_kaiming_start_is_as_narrow_as_a_fan_in_of_the_whole_tensor(recipe) -> None:
    start = starting_prompt(replace(recipe, init="kaiming"), 64, train=())
    values = normalize(torch.stack([*start.images, *start.colors]))
    reference = torch.nn.init.kaiming_normal_(torch.empty(1, 3, 64, 64))
    assert values.std().item() == pytest.approx(reference.std().item(), rel=0.05)
    assert abs(values.mean().item()) < 0.001


def test_a_type_token_is_learned_beside_the_pixels(network, recipe, data, tmp_path) -> None:
    learning = replace(recipe, type_lr=0.1)
    tuned = tune(learning, network, data, tmp_path / "run", QUIET).prompt
    assert tuned.type_shift.shape == (network.config.dim,)
    assert tuned.type_shift.abs().max() > 0
    assert tune(recipe, network, data, tmp_path / "plain", QUIET).prompt.type_shift is None
    again = tune(learning, network, data, tmp_path / "again", QUIET).prompt
    assert torch.equal(again.type_shift, tuned.type_shift)


@pytest.mark.parametrize("init", ["noise", "example", "kaiming"])
def test_a_canvas_of_its_own(network, recipe, data, tmp_path, init: str) -> None:
    """As if the backbone had that canvas, and its own afterwards."""
    bounded = init != "kaiming"
    recipe = replace(recipe, min_canvas=24, init=init, bounded=bounded)
    tuned = tune(recipe, network, data, tmp_path / "run", QUIET).prompt
    assert tuned.images[0].shape == (3, 24, 24)
    assert (tuned.canvas, network.config.canvas) == (24, 16)
    large = tune(recipe, at_canvas(network, 24), data, tmp_path / "large", QUIET).prompt
    assert torch.equal(pixels(tuned), pixels(large))
    less = tune(replace(recipe, min_canvas=8), network, data, tmp_path / "less", QUIET).prompt
    assert less.canvas == 16


def test_a_run_that_is_resumed_has_a_scale_already(tmp_path: Path) -> None:
    assert run.begun_scale(tmp_path / "none", resume=True) is None
    assert run.begun_scale(tmp_path / "none", resume=False) is None
    (tmp_path / run.SETTINGS).write_text(json.dumps({"recipe": {"scale": 0.35}}))
    assert run.begun_scale(tmp_path, resume=True) == 0.35
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        run.begun_scale(tmp_path, resume=False)
    (tmp_path / run.SETTINGS).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        run.begun_scale(tmp_path, resume=True)
