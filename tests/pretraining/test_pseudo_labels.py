"""Regions without meaning cover an image and follow its edges."""

import cv2
import numpy as np

from prompttune.pretraining.pseudo_labels import color_clusters, watershed


def test_segments_cover_the_image_and_follow_its_edges() -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    image[:, 45:] = (250, 200, 20)
    for labels in (color_clusters(image, 4), watershed(np.random.default_rng(0), image)):
        assert labels.shape == image.shape[:2]
        assert labels.min() > 0
        left, right = set(labels[:, :40].ravel()), set(labels[:, 50:].ravel())
        assert not left & right
    regions = watershed(np.random.default_rng(1), image)
    for number in np.unique(regions):
        pieces, _ = cv2.connectedComponents((regions == number).astype(np.uint8))
        assert pieces == 2  # itself and the rest
