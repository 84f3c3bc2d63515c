"""A companion learns what its images show, twice the same."""

from dataclasses import replace

import torch

from prompttune.companion.network import CompanionNetwork
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.companion import train_companion
from prompttune.tuning.run import Machine
from prompttune.utils.normalize import normalize, to_tensor

MACHINE = Machine(progress=False)
RECIPE = Recipe(task="squares", batch=4)


def test_it_finds_squares_on_images_that_it_never_saw(data: TaskData) -> None:
    state = torch.random.get_rng_state()
    network = train_companion(RECIPE, 32, data, 60, MACHINE)
    assert not network.training
    assert torch.equal(torch.random.get_rng_state(), state)
    for sample in data.test:
        with torch.no_grad():
            found = network(normalize(to_tensor(sample.image))[None]).argmax(1)[0].numpy()
        both = (found == 1) & (sample.class_map == 1)
        assert 2 * both.sum() / (found.sum() + (sample.class_map == 1).sum()) > 0.8


def test_two_runs_are_alike_and_another_seed_is_not(data: TaskData) -> None:
    runs = [train_companion(RECIPE, 16, data, 2, MACHINE) for _ in range(2)]
    other = train_companion(replace(RECIPE, seed=1), 16, data, 2, MACHINE)
    one, same, another = (weights(network) for network in (*runs, other))
    assert torch.equal(one, same)
    assert not torch.equal(one, another)


def test_the_average_forgets_the_start(data: TaskData) -> None:
    torch.manual_seed(RECIPE.seed)
    start = CompanionNetwork(1)
    learned = train_companion(RECIPE, 16, data, 30, MACHINE)
    assert (weights(learned) - weights(start)).abs().max() > 0.01


def weights(network: CompanionNetwork) -> torch.Tensor:
    return network.folded(1.0).weights
