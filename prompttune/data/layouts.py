"""Split the images and masks (or annotations) of a data folder into parts."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from prompttune.data.chosen_pages import ChosenPages
from prompttune.data.class_names import UNNAMED
from prompttune.data.decoding import page_count
from prompttune.data.finding import ANYWHERE, Finding
from prompttune.data.folders import find_samples
from prompttune.data.mask_forms import AUTO, MaskOptions, read_stored, value_counts
from prompttune.data.samples import LoadedSample as LoadedSample
from prompttune.data.samples import Sample as Sample
from prompttune.data.samples import load_sample as load_sample
from prompttune.data.splitting import positives_first, split_off
from prompttune.data.unreadable import readable
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SUFFIXES as SUFFIXES
from prompttune.utils.image_files import is_tiff_name
from prompttune.volumes.opening import is_volume, volume_of
from prompttune.volumes.volume import same_place

TEST_FRACTION = 0.2
FIRST_SCORED = 3
MAX_VALUES = 32
"""A mask of more values holds shades or numbers of things, not classes."""


@dataclass(frozen=True)
class Split:
    """Disjoint parts of a data folder (`val` repeats `train` where that has fewer than 3 images).

    `test` is empty where the folder has no test masks, or too few images to set any aside.
    `layout` says in words how the folder was read.
    """

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    layout: str
    category_ids: dict[str, int] = field(default_factory=dict)
    """COCO's own numbers of its categories, by name."""
    classes: tuple[str, ...] | None = None
    """The annotations' own, where none were named and there is one."""
    notes: tuple[str, ...] = ()
    """What was left out, or understood otherwise than one may think."""


def find_split(
    folder: str | Path,
    seed: int = 0,
    val_fraction: float = 0.2,
    images: int | None = None,
    classes: Sequence[str] = UNNAMED,
    finding: Finding = ANYWHERE,
    masks: MaskOptions = AUTO,
    look: bool = False,
) -> Split:
    """Find the samples of a folder in one of the known layouts and split them by `seed`.

    - `train/` and `test/`, each `images/` + `masks/` with equal stems, optional `fov/`; or `train/`
      and `valid/` (`val/`), which then is the validation part;
    - the same without parts, `images/` + `masks/`: a fifth becomes `test`;
    - images and masks in one folder, `scan0.jpg` + `scan0_mask.png`;
    - DRIVE's release: `training/images/21_training.tif`, `training/1st_manual/21_manual1.gif`,
      `training/mask/21_training_mask.gif` (the field of view), `test/` likewise, where masks may
      be missing (then `test` is empty);
    - CHASE_DB1's release: `Image_01L.jpg`, `Image_01L_1stHO.png` (first observer) in one folder: a
      fifth of the children becomes `test`; both eyes of a child stay in one part;
    - the first two with annotations in place of `masks/`, where `images/` may be left out too:
      COCO's `annotations.json`, or a labelme file for each image (`data.annotations`);
    - COCO's and CVAT's `annotations/instances_<part>.json` beside `images/<part>/` or `<part>/`.

    Masks may have a prefix or suffix that all share (`data.pairing`). Slices of TIFF stacks become
    samples of one group.

    Of what is left for training, `val_fraction` becomes `val`, at least one image; with fewer than
    3 images `val` is `train`. The parts depend on seed, names and, where a class would be lacking
    in a part, on which images show it: each part shows every class that enough images show. With
    `images` only so many, chosen by seed, are left for `train` and `val` together; the same ones
    are among those of a larger number, and `test` stays as it is. `classes` names those that
    annotations are painted of; masks have numbers and need no names.

    Args:
        folder: of the data.
        seed: of the split.
        val_fraction: in 0..1.
        images: how many are learned from.
        classes: names of the foreground classes.
        finding: where images and masks lie, how masks are named, what stays together.
        masks: what the masks' values mean.
        look: look into the files; those that cannot be read are left out and named in the notes.

    Raises:
        InputError: missing folder, unknown layout, no images, an image or mask without partner,
            fewer images for training than `images`, annotations that are none or lack a class, no
            more files that can be read than others.
    """
    folder = Path(folder)
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
    found = find_samples(folder, classes, finding)
    notes = list(found.notes)
    train, val, test = (
        None if part is None else _sliced(_read_well(part, notes) if look else part, finding.pages)
        for part in (found.train, found.val, found.test)
    )
    assert train is not None
    group = found.group or finding.grouping() or _together(train, notes)
    shown, count = _shown_by(masks, len(classes)), len(classes)
    if finding.group_by is not None:
        _check_groups([*train, *(val or ()), *(test or ())], group, finding.group_by, notes)
    if test is None:
        test, train = split_off(train, TEST_FRACTION, seed, group, shown, count, left=2)
    if images is not None:
        train = _few([*train, *_renamed(val or (), train)], images, seed, folder, shown)
        val = None
    if val is None:
        val, train = split_off(train, val_fraction, seed, group, shown, count)
    if finding.group_by is not None:
        _tell_leaks([train, val, test], group, notes)
    val, test = _telling(val or train, shown), _telling(test, shown)
    return Split(
        tuple(train), tuple(val), tuple(test), found.layout, found.category_ids,
        found.classes, tuple(notes),
    )  # fmt: skip


def _check_groups(
    samples: Sequence[Sample], group: Callable[[Sample], str], said: str, notes: list[str]
) -> None:
    """Note what `--group_by` does not put into a group, and that there is one alone.

    Raises:
        InputError: it puts nothing into a group.
    """
    alone = [sample for sample in samples if group(sample) == sample.name]
    if samples and len(alone) == len(samples):
        raise InputError(
            f"--group_by '{said}': matches no name (such as '{alone[0].name}'), and is no column "
            "of a list"
        )
    if alone:
        notes.append(
            f"{len(alone)} of {len(samples)} are in no group by --group_by, such as "
            f"'{alone[0].name}': each is taken alone"
        )
    if len(set(map(group, samples))) == 1 and len(samples) > 1:
        notes.append("all are of one group: validation repeats training, so the scores flatter")


def _tell_leaks(
    parts: Sequence[Sequence[Sample]], group: Callable[[Sample], str], notes: list[str]
) -> None:
    """Note groups that lie in several parts, where folders or lists name the parts."""
    counts = Counter(key for part in parts for key in set(map(group, part)))
    if shared := sorted(key for key, times in counts.items() if times > 1):
        notes.append(
            f"{len(shared)} groups lie in several parts, such as '{shared[0]}', as the files have "
            "them: the scores may flatter"
        )


def _read_well(samples: Sequence[Sample], notes: list[str]) -> list[Sample]:
    """Leave out what cannot be read, and say so."""
    kept, left_out = readable(samples)
    notes += left_out
    return kept


def _renamed(samples: Iterable[Sample], others: Iterable[Sample]) -> list[Sample]:
    """Give samples that others share a name with the name of their part as well."""
    taken = {sample.name for sample in others}
    return [
        replace(each, name=f"{each.image.parent.name}/{each.name}") if each.name in taken else each
        for each in samples
    ]


def _together(samples: Sequence[Sample], notes: list[str]) -> Callable[[Sample], str]:
    """Keep the slices of a stack in one part, where there are enough stacks."""
    stacks = {sample.stack or sample.name for sample in samples}
    if len(stacks) < 3 and len(samples) >= 3:
        notes.append(
            f"{len(stacks)} stack{'s' * (len(stacks) > 1)} alone: neighboring slices lie in "
            "different parts, so the scores flatter"
        )
        return lambda sample: sample.name
    return lambda sample: sample.stack or sample.name


def _shown_by(masks: MaskOptions, classes: int) -> Callable[[Sample], frozenset[int]]:
    """Return what tells which classes a sample shows; a mask that cannot be read shows none."""

    @cache
    def shown(sample: Sample) -> frozenset[int]:
        if sample.painting is not None:
            return sample.painting.shown()
        if sample.layers is not None:
            return frozenset(number for _, number in sample.layers)
        try:
            values, _ = value_counts(read_stored(sample.mask, masks, sample.page).values)
        except InputError:
            return frozenset()
        found = frozenset(int(value) for value in values) - {0}
        if classes > 1 and found <= {*range(1, classes + 1), IGNORE}:
            return found - {IGNORE}
        # Shades or numbers: whether it shows anything is all that matters.
        return frozenset({1}) if found and (classes == 1 or len(found) > MAX_VALUES) else found

    return shown


def _telling(samples: list[Sample], shown: Callable[[Sample], frozenset[int]]) -> list[Sample]:
    """Put those that show something first where the first few, often all that is scored, do not."""
    if any(map(shown, samples[:FIRST_SCORED])):
        return samples
    return sorted(samples, key=lambda sample: not shown(sample))


def _few(
    samples: Sequence[Sample],
    count: int,
    seed: int,
    folder: Path,
    shown: Callable[[Sample], frozenset[int]],
) -> list[Sample]:
    if not 1 <= count <= len(samples):
        raise InputError(
            f"{folder}: {count} images asked for, {len(samples)} are there for training"
        )
    return positives_first(samples, seed, shown)[:count]


def _patient(image: Path) -> str | None:
    """Return what keeps DICOM files of one patient, or of one series, together."""
    volume = volume_of(image)
    return None if volume is None else volume.facts.patient or volume.facts.series


def _check_places(sample: Sample) -> None:
    """Refuse a mask that lies elsewhere in the patient than its image.

    Raises:
        InputError: the affines differ by more than half a pixel.
    """
    image, mask = (volume_of(path) for path in (sample.image, sample.mask))
    if image is None or mask is None or image.facts.affine is None or mask.facts.affine is None:
        return
    own, other = image.facts, mask.facts
    assert own.affine is not None
    assert other.affine is not None
    if own.size == other.size and not same_place(own.affine, other.affine, own.size, own.pages):
        raise InputError(
            f"{sample.mask}: lies elsewhere in the patient than {sample.image} (their affines "
            "differ); save it with the affine of its image, or resample it to that grid"
        )


def _sliced(samples: Sequence[Sample], chosen: ChosenPages | None) -> list[Sample]:
    """Replace samples whose files are stacks by one for each slice, or each chosen one.

    Raises:
        InputError: an image and a mask of different numbers of pages, a page that is not there.
    """
    found: list[Sample] = []
    for sample in samples:
        files = (sample.image, sample.mask) if sample.painting is None else (sample.image,)
        pages = [page_count(f) if is_tiff_name(f) or is_volume(f) else 1 for f in files]
        if max(pages) == 1:
            found.append(
                replace(sample, stack=_patient(sample.image)) if sample.stack is None else sample
            )
            continue
        _check_places(sample)
        if len(set(pages)) > 1:
            raise InputError(
                f"{sample.image} has {pages[0]} page{'s' * (pages[0] > 1)}, but {sample.mask} has "
                f"{pages[1]}; they must have equally many (of a mask with a page for each class "
                "save the numbers of the classes as one page)"
            )
        digits = len(str(pages[0]))
        stack = _patient(sample.image) or sample.name
        found += [
            replace(sample, name=f"{sample.name}#{n + 1:0{digits}}", page=n, stack=stack)
            for n in (
                range(pages[0]) if chosen is None else chosen.of_stack(pages[0], sample.image)
            )
        ]
    return found
