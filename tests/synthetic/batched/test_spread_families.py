"""Families that spread over a scene: what each is known by."""

import torch
from scene_items import some_items

from prompttune.synthetic.batched.spread_families import SOLID, SPREAD, isolines, level_sets


def test_solid_families_are_wider_than_lines() -> None:
    assert set(SOLID) < set(SPREAD)
    items = some_items(60, size=48)
    deepest = {family: family(items).flatten(1).amax(1).median() for family in set(SPREAD)}
    solid = torch.stack([deepest[family] for family in set(SOLID)])
    others = torch.stack([deepest[family] for family in set(SPREAD) - set(SOLID)])
    assert solid.median() > others.median()


def test_level_sets_are_higher_where_the_threshold_is_lower() -> None:
    items = some_items(80, size=32)
    cover = (level_sets(items) > 0).float().mean((1, 2))
    height = items.trait("height", 0.1, 1.2).flatten()
    assert torch.corrcoef(torch.stack([cover, height]))[0, 1] < -0.5


def test_isolines_never_end_inside() -> None:
    """A line of the plane has no end: what it covers touches itself or the border."""
    import cv2

    level = isolines(some_items(20, size=64))
    for one in level:
        mask = (one > 0).numpy().astype("uint8")
        count, labels = cv2.connectedComponents(mask, connectivity=8)
        border = set(labels[[0, -1]].ravel()) | set(labels[:, [0, -1]].ravel())
        for number in range(1, count):
            part = (labels == number).astype("uint8")
            holes = cv2.connectedComponents(1 - part, connectivity=4)[0] - 1
            small = part.sum() < 30  # a crest that the line only just covers
            assert number in border or holes > 1 or small
