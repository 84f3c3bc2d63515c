"""Labels without meaning, for images without labels: color clusters and connected regions."""

import cv2
import numpy as np
from numpy.random import Generator

_SIDE = 56


def color_clusters(image: np.ndarray, count: int = 8) -> np.ndarray:
    """Cluster the pixels of `H x W x 3 uint8` by color and, weakly, by place; labels 1..count."""
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    points = np.concatenate((lab, x[..., None], y[..., None]), -1).reshape(-1, 5)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 1.0)
    cv2.setRNGSeed(0)
    start = np.zeros((len(points), 1), np.int32)  # ignored: k-means++ chooses the centers
    _, labels, _ = cv2.kmeans(points, count, start, stop, 1, cv2.KMEANS_PP_CENTERS)
    segments = np.asarray(labels).reshape(_SIDE, _SIDE).astype(np.uint8) + 1
    return np.asarray(
        cv2.resize(segments, image.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8
    )


def watershed(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Divide `H x W x 3 uint8` into regions that end at edges; labels from 1.

    Their number, 6 to 60, and where they start are drawn anew each time.
    """
    height, width = image.shape[:2]
    count = int(6 * 10 ** rng.random())
    markers = np.zeros((height, width), np.int32)
    places = rng.integers(1, (height - 1, width - 1), (count, 2))
    for number, (row, column) in enumerate(places.tolist(), 1):
        cv2.circle(markers, (column, row), 1, number, -1)
    regions = np.asarray(cv2.watershed(cv2.GaussianBlur(image, (3, 3), 0), markers))
    labels = np.where(regions > 0, regions, 0).astype(np.uint8)
    for _ in range(2):  # the lines between regions and the frame go to a neighbor
        labels = np.where(labels > 0, labels, cv2.dilate(labels, np.ones((3, 3), np.uint8)))
    return labels
