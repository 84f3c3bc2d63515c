import hashlib
import math

import pytest
import torch

from prompttune.synthetic.batched.counter_random import Draws, mix

MASK = (1 << 64) - 1
MANY = Draws.of(3, torch.arange(4000))


def slow_mix(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def test_mixing_gives_the_published_numbers():
    # The first outputs of SplitMix64 from state 0, as in Vigna's reference.
    states = torch.tensor([1, 2]) * (0x9E3779B97F4A7C15 - (1 << 64))
    assert [value & MASK for value in mix(states).tolist()] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
    ]


def test_bits_are_those_of_whole_numbers():
    draws = Draws(torch.tensor([5, -7]))
    name = int.from_bytes(hashlib.blake2b(b"x", digest_size=8).digest(), "little")
    for key, row in zip((5, -7), draws.bits("x", 3).tolist(), strict=True):
        start = key & MASK ^ name
        expected = [slow_mix(start + k * 0x9E3779B97F4A7C15 & MASK) for k in (1, 2, 3)]
        assert [value & MASK for value in row] == expected


@pytest.mark.parametrize("name", ["a", "b"])
def test_uniform_along_samples_and_along_draws(name):
    for numbers in (MANY.uniform(name), MANY.rows(torch.tensor([9])).uniform(name, 4000)[0]):
        assert 0 <= numbers.min() < numbers.max() < 1
        counts = torch.histc(numbers, 50, 0, 1)
        chi = ((counts - 80).square() / 80).sum()
        assert 20 < chi < 95  # 49 degrees of freedom: outside with probability below .0002


def test_neighbors_names_and_seeds_share_nothing():
    first = MANY.uniform("a")
    others = (
        MANY.uniform("b"),
        first.roll(1),
        MANY.uniform("a", 2)[:, 1],
        MANY.fork("a").uniform("a"),
        MANY.fork("a", 1).uniform("a"),
        Draws.of(4, torch.arange(4000)).uniform("a"),
        Draws.of(3, torch.arange(4000) + (1 << 40)).uniform("a"),
    )
    for other in others:
        assert abs(torch.corrcoef(torch.stack((first, other)))[0, 1]) < 4 / math.sqrt(4000)


@pytest.mark.parametrize("kind", ["normal", "noise"])
def test_normal_numbers(kind):
    drawn = getattr(MANY, kind)("n", 5, 3)
    assert drawn.shape == (4000, 5, 3)
    drawn = drawn.double().flatten()
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.01
    assert abs(drawn.pow(4).mean() - 3) < 0.15
    assert abs((drawn.abs() > 1.96).double().mean() - 0.05) < 0.004
    table = torch.corrcoef(getattr(MANY, kind)("n", 6).t()) - torch.eye(6)
    assert table.abs().max() < 0.07


def test_whole_numbers_choices_and_orders():
    whole = MANY.integers("i", 7, 3)
    assert whole.unique().tolist() == list(range(7))
    shares = torch.bincount(MANY.choice("c", (1, 1, 5)).long()) / 4000
    assert abs(shares[5] - 1 / 3) < 0.03
    assert abs(MANY.chance("p", 0.3).float().mean() - 0.3) < 0.03
    orders = MANY.permutation("o", 5)
    assert torch.equal(orders.sort().values, torch.arange(5).expand(4000, -1))
    assert abs((orders[:, 0] == 2).float().mean() - 0.2) < 0.03


def test_a_row_draws_alike_in_any_batch():
    rows = torch.tensor([17, 3, 3999])
    assert torch.equal(MANY.rows(rows).normal("n", 4), MANY.normal("n", 4)[rows])
    assert torch.equal(Draws.of(3, rows).noise("n", 6), MANY.noise("n", 6)[rows])
    numbers = torch.tensor([0, 1, 5])
    forked = Draws.of(3, rows).fork("part", numbers).uniform("u")
    alone = [Draws.of(3, rows[k : k + 1]).fork("part", int(numbers[k])) for k in range(3)]
    assert torch.equal(forked, torch.cat([draws.uniform("u") for draws in alone]))
