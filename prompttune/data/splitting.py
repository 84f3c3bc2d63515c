"""Split samples into parts by seed, each of which shows every class where there are enough."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from prompttune.data.samples import Sample

Shown = Callable[[Sample], frozenset[int]]
"""Which classes a sample shows."""


def split_off(
    samples: Sequence[Sample],
    fraction: float,
    seed: int,
    group: Callable[[Sample], str],
    shown: Shown,
    classes: int = 1,
    left: int = 1,
) -> tuple[list[Sample], list[Sample]]:
    """Return `fraction` of the samples (at least one group) and the rest; none of fewer than 3.

    Which groups are taken is decided by seed and names. Where that leaves one side without a class
    that enough groups show, groups change sides, as few as it takes.

    Args:
        samples: of which some are taken.
        fraction: of the groups.
        seed: of the order.
        group: samples of one group stay together.
        shown: the classes of a sample; asked only as far as it matters.
        classes: how many there are.
        left: in so many groups of the rest a class should be shown.
    """
    members: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        members[group(sample)].append(sample)
    keys = sorted(members, key=lambda key: rank(seed, key))
    count = max(1, round(fraction * len(keys))) if len(keys) > 2 else 0
    count = min(count, len(keys) - 1)
    taken, rest = keys[:count], keys[count:]

    @cache
    def shows(key: str) -> frozenset[int]:
        return frozenset().union(*map(shown, members[key]))

    if count and not (_covers(taken, classes, shows, 1) and _covers(rest, classes, shows, left)):
        _balance(taken, rest, shows, left)
    chosen = set(taken)
    ordered = sorted(samples, key=lambda sample: sample.name)
    return (
        [sample for sample in ordered if group(sample) in chosen],
        [sample for sample in ordered if group(sample) not in chosen],
    )


def positives_first(
    samples: Iterable[Sample], seed: int, shown: Shown, count: int = 2
) -> list[Sample]:
    """Order samples by seed, but so that the first `count` show something, where any do."""
    ordered = sorted(samples, key=lambda sample: rank(seed, sample.name))
    first: list[Sample] = []
    for sample in ordered:
        if len(first) == count:
            break
        if shown(sample):
            first.append(sample)
    return first + [sample for sample in ordered if sample not in first]


def rank(seed: int, key: str) -> str:
    """Shuffle by `seed`, the same on every machine and for every version of numpy."""
    return hashlib.sha256(f"{seed} {key}".encode()).hexdigest()


def _balance(
    taken: list[str], rest: list[str], shows: Callable[[str], frozenset[int]], left: int
) -> None:
    """Swap groups, the rarest class first, until each side shows what it can."""
    counts = Counter(number for key in (*taken, *rest) for number in shows(key))
    for wanted in sorted(counts, key=lambda number: (counts[number], number)):
        # The rest is learned from: it has the first claim.
        for short, long, wants, keeps in ((rest, taken, left, 0), (taken, rest, 1, left)):
            while _having(short, wanted, shows) < wants and _having(long, wanted, shows) > keeps:
                comes = next(key for key in long if wanted in shows(key))
                goes = [key for key in short if _may_go(key, short, wanted, shows)]
                if not goes:
                    break
                short[short.index(goes[-1])], long[long.index(comes)] = comes, goes[-1]


def _having(side: Sequence[str], wanted: int, shows: Callable[[str], frozenset[int]]) -> int:
    return sum(wanted in shows(key) for key in side)


def _may_go(
    key: str, side: Sequence[str], wanted: int, shows: Callable[[str], frozenset[int]]
) -> bool:
    """Say whether a side keeps showing all that it shows without one of its groups."""
    others = frozenset().union(*(shows(each) for each in side if each != key))
    return wanted not in shows(key) and shows(key) <= others


def _covers(
    side: Sequence[str], classes: int, shows: Callable[[str], frozenset[int]], times: int
) -> bool:
    """Say whether each class is shown by so many groups; stops looking once that is sure."""
    seen = Counter[int]()
    lacking = set(range(1, classes + 1))
    for key in side:
        seen.update(shows(key) & lacking)
        lacking -= {number for number in lacking if seen[number] >= times}
        if not lacking:
            return True
    return False
