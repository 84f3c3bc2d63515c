"""Views: image and labels move together; light changes the image alone; regions cover it."""

import cv2
import numpy as np
import pytest

from prompttune.pretraining.geometric import Warp
from prompttune.pretraining.mixing import mixed_views
from prompttune.pretraining.photometric import recolour
from prompttune.pretraining.pseudo_labels import colour_clusters, watershed
from prompttune.pretraining.sampling import SEMANTIC, Context, crop
from prompttune.pretraining.sources.pool import Labels


def ramp(height: int, width: int) -> np.ndarray:
    """An image that says where each pixel lies: red is the column, green the row."""
    image = np.zeros((height, width, 3), np.float32)
    image[..., 0] = np.arange(width) / width
    image[..., 1] = np.arange(height)[:, None] / height
    return image


@pytest.mark.parametrize("half_size", [False, True])
def test_image_and_labels_move_together(half_size: bool) -> None:
    """Labels that are a function of the image's colour still are, to a pixel, in every view."""
    large = ramp(120, 160)
    class_map = (((large[..., 0] * 8).astype(int) + (large[..., 1] * 6).astype(int)) % 3).astype(
        np.uint8
    )
    shown = cv2.resize(large, (80, 60), interpolation=cv2.INTER_AREA) if half_size else large
    rng = np.random.default_rng(0)
    bent = 0
    for _ in range(40):
        warp = Warp.draw(rng, class_map.shape, np.array((80, 60)), 48)
        bent += warp.bend is not None
        pixels, labels = warp.image(shown, class_map.shape), warp.labels(class_map)
        column, row = pixels[..., 0] * 8, pixels[..., 1] * 6
        expected = (column.astype(int) + row.astype(int)) % 3
        step = 48 / warp.size * 0.12  # half a pixel of the small image near a border of classes
        clear = (np.abs(column - np.round(column)) > step) & (np.abs(row - np.round(row)) > step)
        assert clear.mean() > 0.4
        assert (expected == labels)[clear].mean() > 0.995
    assert bent > 0


def test_a_view_shows_what_it_was_cut_around() -> None:
    class_map = np.zeros((100, 150), np.uint8)
    class_map[:6, :6] = 3  # in a corner
    labels = Labels.of(class_map)
    image = (ramp(100, 150) * 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    seen = [
        (crop(rng, (image,), class_map, labels.anchors[3], 32)[1] == 3).any() for _ in range(50)
    ]
    assert np.mean(seen) > 0.8


def test_light_is_clipped_and_alike_for_both_images() -> None:
    image = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    for seed in range(20):
        first, second = recolour(np.random.default_rng(seed), [image, image])
        assert first.dtype == np.float32
        assert 0 <= first.min() <= first.max() <= 1
        assert not np.array_equal(first, second)


def test_inverted_light_is_the_mixture_of_the_inverse() -> None:
    """The one matrix of the fast way equals the steps one by one."""
    from prompttune.pretraining import photometric as light

    image = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    mixing = np.random.default_rng(1).normal(0, 0.3, (3, 3)).astype(np.float32)

    class Plain:  # no blur, no noise
        def __init__(self) -> None:
            self.rng = np.random.default_rng(5)

        def normal(self, *args):
            return self.rng.normal(*args)

        def random(self) -> float:
            return 0.9

    gain_of = np.random.default_rng(5)
    gain = gain_of.normal(1, 0.12, 3) * gain_of.normal(1, 0.1)
    shift = gain_of.normal(0, 0.05, 3)
    for invert in (False, True):
        expected = ((1 - image if invert else image) @ mixing.T) * gain + shift
        got = light._relight(Plain(), image, mixing, invert)
        np.testing.assert_allclose(got, np.clip(expected, 0, 1), atol=1e-5)


@pytest.mark.parametrize("contexts", [1, 2])
def test_mixed_samples_show_several_images_under_one_map(contexts: int) -> None:
    """Views of one colour each, whose class is their colour: still so after stitching."""

    def flat(number: int) -> Context:
        def view(rng, half: int, size: int):
            return np.full((size, size, 3), number / 4, np.float32), np.full(
                (size, size), number, np.uint8
            )

        return Context(SEMANTIC, view)

    for seed in range(10):
        halves = mixed_views(np.random.default_rng(seed), [flat(1), flat(2)][:contexts], 32)
        for image, classes in halves:
            assert image.shape == (32, 32, 3)
            assert classes.dtype == np.uint16
            assert set(np.unique(classes)) <= {1, 256 + 2}
            assert (np.abs(image[..., 0] * 4 - classes % 256) < 1e-3).mean() > 0.9


def test_segments_cover_the_image_and_follow_its_edges() -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    image[:, 45:] = (250, 200, 20)
    for labels in (colour_clusters(image, 4), watershed(np.random.default_rng(0), image)):
        assert labels.shape == image.shape[:2]
        assert labels.min() > 0
        left, right = set(labels[:, :40].ravel()), set(labels[:, 50:].ravel())
        assert not left & right
    regions = watershed(np.random.default_rng(1), image)
    for number in np.unique(regions):
        pieces, _ = cv2.connectedComponents((regions == number).astype(np.uint8))
        assert pieces == 2  # itself and the rest
