"""Find the files of a data set that cannot be read, so that one of them does not stop the rest."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prompttune.data.decoding import header
from prompttune.data.mask_forms import try_mask
from prompttune.data.reading import try_image
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import GIF, JPEG, PNG
from prompttune.volumes.opening import is_volume

LEFT_OUT = "left out: "
"""How a line begins that names what is not used."""
DECODED = 200_000_000
"""Pixels of a set that are decoded to be sure; of larger sets the ends of files are looked at."""
_ENDS = {
    **dict.fromkeys(PNG, b"IEND\xaeB`\x82"),
    **dict.fromkeys(JPEG, b"\xff\xd9"),
    **dict.fromkeys(GIF, b";"),
}
"""How whole files end; one that does not may be whole all the same."""
_TAIL = 64


def readable(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """Leave out samples with an image, mask or field of view that cannot be read.

    Args:
        samples: of one part.

    Returns:
        The others, and a line that names what was left out; none where all can be read.

    Raises:
        InputError: as many cannot be read as can, or more: the first one's reason.
    """
    known = reasons_of(
        (sample.image for sample in samples),
        (mask for sample in samples for mask in _masks(sample)),
    )
    kept, bad = [], []
    for sample in samples:
        reasons = [known[path] for path in (sample.image, *_masks(sample)) if path in known]
        if reasons:
            bad.append(reasons[0])
        else:
            kept.append(sample)
    if not bad:
        return kept, []
    if len(kept) <= len(bad):
        more = f" (nor can {len(bad) - 1} others of {len(samples)})" if len(bad) > 1 else ""
        raise InputError(f"{bad[0]}{more}")
    listed = "; ".join(dict.fromkeys(bad[:3])) + ("; ..." if len(bad) > 3 else "")
    return kept, [f"{LEFT_OUT}{len(bad)} of {len(samples)} that cannot be read: {listed}"]


def _masks(sample: Sample) -> Iterable[Path]:
    if sample.layers is not None:
        yield from (path for path, _ in sample.layers)
    elif sample.painting is None:
        yield sample.mask
    if sample.field_of_view is not None:
        yield sample.field_of_view


def reasons_of(
    images: Iterable[Path], masks: Iterable[Path] = (), decoded: int = DECODED
) -> dict[Path, str]:
    """Say in a line for each file that cannot be read why not; others are not in the answer.

    Args:
        images: files.
        masks: files.
        decoded: pixels that are decoded to be sure.
    """
    left = [decoded]
    tries = dict.fromkeys(masks, try_mask) | dict.fromkeys(images, try_image)
    reasons = {path: _reason(path, left, attempt) for path, attempt in tries.items()}
    return {path: reason for path, reason in reasons.items() if reason is not None}


def _reason(path: Path, left: list[int], attempt: Callable[[Path], None]) -> str | None:
    """Say why a file cannot be read; None where it can."""
    try:
        (width, height), _, _ = header(path)
        if is_volume(path) or (left[0] < width * height and _ends_well(path)):
            return None
        left[0] -= width * height
        attempt(path)
    except InputError as error:
        return " ".join(str(error).split())
    return None


def _ends_well(path: Path) -> bool:
    """Say whether a file ends as whole ones of its kind do; of other kinds nothing is known."""
    end = _ENDS.get(path.suffix.lower())
    if end is None:
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return end in file.read()
