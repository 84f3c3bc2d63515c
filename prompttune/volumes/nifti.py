"""NIfTI volumes: turned so that slices look as radiologists see them, and back (nibabel)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.utils.errors import InputError
from prompttune.utils.io import whole_path
from prompttune.utils.malformed import reason, understood
from prompttune.volumes.volume import Facts

_MAX_BANDS = 16
_THICK = 2.0
"""An axis whose voxels are so many times as long as the others' is the one of the slices."""
_VIEWS = {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}
"""To where slices, rows and columns run: axial slices upwards, rows to the back, columns left."""


@dataclass(frozen=True)
class Turn:
    """How the stored axes become slices, rows and columns."""

    order: tuple[int, int, int]
    """The stored axis of each."""
    flips: tuple[bool, bool, bool]
    """Whether it runs the other way."""

    def apply(self, voxels: np.ndarray) -> np.ndarray:
        """Turn `I x J x K [x C]` into `slices x rows x columns [x C]`."""
        turned = voxels.transpose(*self.order, *range(3, voxels.ndim))
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def undo(self, slices: np.ndarray) -> np.ndarray:
        """Turn `slices x rows x columns` back into `I x J x K`."""
        straight = slices[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return straight.transpose(*np.argsort(self.order))


class NiftiVolume:
    """A NIfTI file; its voxels are read when the first slice is asked for.

    Args:
        path: of the file.

    Raises:
        InputError: nibabel is not installed, a damaged file, or more than 4 axes or 16 bands.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._image = _load(path)
        with understood(path, "NIfTI volume", (Exception,)):
            self._describe(path)

    def _describe(self, path: Path) -> None:
        shape = self._image.shape
        if len(shape) == 2:
            shape = (*shape, 1)
        bands = int(np.prod(shape[3:], dtype=int))
        if len(shape) not in (3, 4, 5) or bands > _MAX_BANDS or 0 in shape:
            listed = " x ".join(map(str, shape))
            raise InputError(f"{path}: is a volume of {listed}; save each time point as a file")
        affine = np.asarray(self._image.affine, np.float64)
        self.view, self.turn = choose_view(affine)
        pages, height, width = (shape[axis] for axis in self.turn.order)
        self._bands = bands
        self._pixels: np.ndarray | None = None
        self.facts = Facts(
            f"NIfTI, {self.view} slices", pages, (width, height), self._dtype(), bands,
            affine=_turned_affine(affine, self.turn, shape),
        )  # fmt: skip

    def _dtype(self) -> np.dtype:
        header = self._image.header
        slope, inter = header.get("scl_slope", np.nan), header.get("scl_inter", np.nan)
        scaled = np.isfinite(slope) and (slope, inter) not in ((1, 0), (0, 0))
        return np.dtype(np.float32) if scaled else self._image.get_data_dtype().newbyteorder("=")

    def numbers(self, page: int) -> np.ndarray:
        """Return a slice, `H x W` or `H x W x C`."""
        return np.ascontiguousarray(self._voxels()[page])

    def _voxels(self) -> np.ndarray:
        if self._pixels is None:
            try:
                voxels = np.asanyarray(self._image.dataobj)
            except Exception as error:  # zlib's own error among them
                text = f"is truncated or damaged ({reason(error)})"
                raise InputError(f"{self._path}: {text}") from None
            voxels = voxels.astype(self.facts.dtype, copy=False)
            if voxels.ndim == 2:
                voxels = voxels[:, :, None]
            if voxels.ndim > 3:
                flat = voxels.reshape(*voxels.shape[:3], -1)
                voxels = flat[..., 0] if flat.shape[3] == 1 else flat
            self._pixels = self.turn.apply(voxels)
        return self._pixels


def _load(path: Path) -> Any:
    try:
        import nibabel
    except ImportError:
        raise InputError(
            f"{path}: reading NIfTI needs a further package; pip install prompttune[medical]"
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return nibabel.load(path)
    except Exception as error:  # nibabel and zlib raise whatever comes of damaged bytes
        raise InputError(f"{path}: is no NIfTI volume, or damaged ({reason(error)})") from None


def choose_view(affine: np.ndarray) -> tuple[str, Turn]:
    """Choose the axis of the slices: up the body, or that of by far the thickest voxels."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    own = io_orientation(affine)
    if np.isnan(own).any():  # no direction in the file: as it is stored
        return "stored", Turn((2, 1, 0), (False, False, False))
    thickest = int(lengths.argmax())
    view = "axial"
    if lengths[thickest] >= _THICK * np.sort(lengths)[1]:
        view = ("sagittal", "coronal", "axial")[int(own[thickest, 0])]
    wanted = axcodes2ornt(tuple(_VIEWS[view]))
    change = ornt_transform(own, wanted)  # where each stored axis goes, and whether it turns round
    order = np.argsort(change[:, 0]).astype(int)
    flips = change[order, 1] < 0
    first, second, third = order.tolist()
    return view, Turn((first, second, third), (bool(flips[0]), bool(flips[1]), bool(flips[2])))


def _turned_affine(affine: np.ndarray, turn: Turn, shape: tuple[int, ...]) -> np.ndarray:
    """Return the LPS affine of column, row and slice."""
    columns = []
    start = affine[:, 3].copy()
    for axis, flip in zip(turn.order, turn.flips, strict=True):
        direction = affine[:, axis]
        if flip:
            start = start + direction * (shape[axis] - 1)
            direction = -direction
        columns.append(direction)
    turned = np.stack([columns[2], columns[1], columns[0], start], 1)
    return np.diag((-1.0, -1.0, 1.0, 1.0)) @ turned


class NiftiWriter:
    """Collects the class maps of a NIfTI volume's slices, and writes them on its own grid.

    Args:
        path: of the result, `.nii` or `.nii.gz`; its folder exists.
        source: the volume that was segmented.
    """

    def __init__(self, path: Path, source: Path) -> None:
        self.path = path
        self._volume = NiftiVolume(source)
        self._slices: list[np.ndarray] = []

    def add(self, page: np.ndarray) -> None:
        """Add the next slice's class map, `H x W uint8`."""
        self._slices.append(page)

    def finish(self) -> None:
        """Write the file, whole or not at all, with the affine and the units of the source."""
        import nibabel

        source = self._volume._image
        voxels = self._volume.turn.undo(np.stack(self._slices)).astype(np.uint8)
        voxels = voxels.reshape(source.shape[: max(3, voxels.ndim)][: len(source.shape)][:3])
        header = source.header.copy()
        header.set_data_dtype(np.uint8)
        if hasattr(header, "set_slope_inter"):
            header.set_slope_inter(1, 0)
        header["cal_max"] = header["cal_min"] = 0
        image = type(source)(voxels, source.affine, header)
        ending = "nii.gz" if self.path.name.lower().endswith(".gz") else "nii"
        with whole_path(self.path, ending) as temporary:  # nibabel goes by the ending
            nibabel.save(image, temporary)

    def discard(self) -> None:
        """Forget the slices."""
        self._slices.clear()
