"""A companion learns what its images show, twice the same."""

from dataclasses import replace

import numpy as np
import torch

from prompttune.companion.network import CompanionNetwork
from prompttune.data.layouts import LoadedSample
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.companion import MANY, train_companion
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


def test_it_finds_nothing_outside_of_the_field_of_view(data: TaskData) -> None:
    learned = replace(data, train=[half_seen(sample) for sample in data.train])
    network = train_companion(RECIPE, 32, learned, 60, MACHINE)
    for sample in map(half_seen, data.test):
        with torch.no_grad():
            found = network(normalize(to_tensor(sample.image))[None]).argmax(1)[0].numpy()
        assert found[sample.class_map == 1].mean() > 0.5
        assert found[~sample.field_of_view].mean() < 0.05


def half_seen(sample: LoadedSample) -> LoadedSample:
    """Return a sample whose right half lies outside, green and as bright as its squares."""
    view = np.zeros(sample.class_map.shape, bool)
    view[:, : view.shape[1] // 2] = True
    image = np.where(view[..., None], sample.image, np.uint8((100, 250, 100)))
    return LoadedSample(sample.name, image, np.where(view, sample.class_map, 0), view)


def test_two_runs_are_alike_and_another_seed_is_not(data: TaskData) -> None:
    runs = [train_companion(RECIPE, 16, data, 2, MACHINE) for _ in range(2)]
    other = train_companion(replace(RECIPE, seed=1), 16, data, 2, MACHINE)
    one, same, another = (weights(network) for network in (*runs, other))
    assert torch.equal(one, same)
    assert not torch.equal(one, another)


def test_many_images_show_the_light_themselves(data: TaskData) -> None:
    many = replace(data, train=(data.train * MANY)[:MANY])
    fewer = replace(many, train=many.train[1:])
    plain, standardized = (train_companion(RECIPE, 16, each, 1, MACHINE) for each in (many, fewer))
    assert not plain.folded(1.0).standardized
    assert standardized.folded(1.0).standardized


def test_the_average_forgets_the_start(data: TaskData) -> None:
    torch.manual_seed(RECIPE.seed)
    start = CompanionNetwork(1)
    learned = train_companion(RECIPE, 16, data, 30, MACHINE)
    assert (weights(learned) - weights(start)).abs().max() > 0.01


def weights(network: CompanionNetwork) -> torch.Tensor:
    return network.folded(1.0).weights
