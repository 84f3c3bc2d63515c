"""What all volumes have in common: slices, a place in the patient, numbers with a meaning."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a volume without its pixels."""

    kind: str
    """In words: `CT, DICOM`, `NIfTI, axial slices`."""
    pages: int
    size: tuple[int, int]
    """Width and height of a slice, pixels."""
    dtype: np.dtype
    bands: int
    window: tuple[float, float] | None = None
    """What its file shows as black and white."""
    nodata: float | None = None
    """The number of pixels outside of what was seen."""
    affine: np.ndarray | None = None
    """`4 x 4`, from column, row and slice to millimeters: left, posterior, superior (LPS)."""
    patient: str | None = None
    """What all files of a patient share."""
    series: str | None = None
    """What all files of a series share."""
    labels: dict[int, str] = field(default_factory=dict)
    """Of masks: what its values are called."""

    @property
    def pixel_area(self) -> float | None:
        """Return what a pixel covers, square millimeters."""
        if self.affine is None:
            return None
        across = np.cross(self.affine[:3, 0], self.affine[:3, 1])
        return float(np.linalg.norm(across)) or None

    @property
    def voxel_volume(self) -> float | None:
        """Return what a voxel fills, cubic millimeters; None of single slices."""
        if self.affine is None or self.pages < 2:
            return None
        return abs(float(np.linalg.det(self.affine[:3, :3]))) or None


class Volume(Protocol):
    """Slices of one file, or of a series of files."""

    facts: Facts

    def numbers(self, page: int) -> np.ndarray:
        """Return a slice, `H x W` or `H x W x C`: rescaled, bright where tissue is bright."""


def same_place(one: np.ndarray, other: np.ndarray, size: tuple[int, int], pages: int) -> bool:
    """Say whether two affines put the corners of a volume at places half a pixel apart at most."""
    corners = np.array(
        [(x, y, z, 1) for x in (0, size[0] - 1) for y in (0, size[1] - 1) for z in (0, pages - 1)]
    )
    apart = np.abs((corners @ one.T - corners @ other.T)[:, :3]).max()
    pixel = np.linalg.norm(one[:3, :2], axis=0).min()
    return bool(apart <= max(0.5 * pixel, 1e-3))
