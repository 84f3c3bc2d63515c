"""Labels are those of the topmost layer."""

import torch
from scene_items import layered as layered

from prompttune.synthetic.batched.closed_families import MAX_SHAPES
from prompttune.synthetic.batched.painting import paint


def test_labels_are_those_of_the_topmost_layer(layered):
    plan, layers = layered
    images, labels = paint(plan, layers, 1 << 14)
    assert images.shape == (240, 3, 32, 32)
    for image in range(240):
        row = image // 2
        expected = torch.zeros(32, 32, dtype=torch.uint8)
        for slot in range(int(plan.layers[row])):
            inside = layers.level[slot, image] > 0
            number = plan.label[row, slot].to(torch.uint8)
            which = layers.which[slot, image]
            shown = which if plan.instance[row] and number else number.expand(32, 32)
            expected = torch.where(inside, shown, expected)
        assert torch.equal(labels[image], expected)
    assert labels.max() <= MAX_SHAPES
