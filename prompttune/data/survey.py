"""What was understood of a data set, in words, with warnings of what looks wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low

from prompttune.data.decoding import header
from prompttune.data.mask_facts import MaskFacts, look_at
from prompttune.data.mask_forms import MaskOptions, Stored, read_stored
from prompttune.data.mask_questions import how_to_invert
from prompttune.data.mask_survey import describe_masks, settle
from prompttune.data.masks import class_counts
from prompttune.data.reading import ImageOptions, read_numbers
from prompttune.data.samples import Sample, orientation_in, read_layers
from prompttune.data.stretch import common_stretch
from prompttune.utils.constants import IGNORE
from prompttune.utils.image_files import SUFFIXES, is_hidden
from prompttune.utils.paths import real
from prompttune.volumes.opening import volume_of

FULL = 0.9
"""A class that covers more than this of every picture is warned of."""
_MUCH = 0.8
"""And of all pictures together."""
_MEASURED = 64
"""Deep images, spread over the set, that choose its stretch."""


@dataclass(frozen=True)
class Survey:
    """What a data set holds."""

    line: str
    """All in one line: masks, what their values mean, sizes, kinds of images."""
    classes: dict[str, tuple[int, float | None]]
    """In how many images each class is shown, and its share of all pixels where that is known."""
    notes: tuple[str, ...]
    """What was left out, or understood otherwise than one may think."""
    warnings: tuple[str, ...]
    """What looks wrong."""
    masks: MaskOptions
    """The one meaning of all masks."""
    images: ImageOptions
    """The one way in which all images are read."""
    image_size: tuple[int, int]
    """Median width and height."""
    values: tuple[tuple[str, int], ...] = ()
    """The masks' stored values and their pixels, the most frequent first; colors as #rrggbb."""


def survey(
    samples: Sequence[Sample],
    learned: Sequence[Sample],
    classes: Sequence[str],
    masks: MaskOptions,
    images: ImageOptions,
    notes: Sequence[str] = (),
) -> Survey:
    """Look at all masks and at the headers of all images.

    Args:
        samples: all of them.
        learned: those for training and validation.
        classes: names of the foreground classes.
        masks: what the user said of the masks; what was not said is settled.
        images: the same of the images.
        notes: what is known already.

    Raises:
        InputError: a file that cannot be read, masks that may mean several things.
    """
    facts = {
        sample: look_at(stored_mask(sample, masks), sample.mask)
        for sample in samples
        if sample.painting is None
    }
    masks = settle(list(facts.values()), len(classes), masks)
    shown = {sample: _shown(sample, facts.get(sample), len(classes), masks) for sample in samples}
    heads = {path: header(path) for path in dict.fromkeys(sample.image for sample in samples)}
    masks, turned = _turned_masks(
        facts, {path: size for path, (size, _, _) in heads.items()}, masks
    )
    images, about = _common(learned, images, {path: deep for path, (_, _, deep) in heads.items()})
    counted = _counted(classes, shown, facts)
    if facts:
        described = describe_masks(list(facts.values()), classes, masks)
        line = f"{len(samples)} masks: {described}{_shares(counted)}"
    else:
        line = f"{len(samples)} annotated images: {_numbers(counted)}"
    sizes = Counter(size for size, _, _ in heads.values())
    kinds = Counter(bits for _, bits, _ in heads.values())
    line += f"; {_listed(f'{w} x {h}' for (w, h), _ in sizes.most_common())}"
    line += f"; {_listed(kind for kind, _ in kinds.most_common())}{about}"
    warnings = _warnings(classes, learned, shown, facts)
    widths, heights = zip(*(size for size, _, _ in heads.values()), strict=True)
    usual = (median_low(widths), median_low(heights))
    return Survey(
        line, counted, (*notes, *turned), tuple(warnings), masks, images, usual,
        _values(facts.values()),
    )  # fmt: skip


def _values(facts: Iterable[MaskFacts]) -> tuple[tuple[str, int], ...]:
    total: Counter[str] = Counter()
    for each in facts:
        colors = each.form == "colors"
        total.update({f"#{v:06x}" if colors else str(v): n for v, n in each.counts.items()})
    return tuple(total.most_common())


def _turned_masks(
    facts: Mapping[Sample, MaskFacts], sizes: Mapping[Path, tuple[int, int]], masks: MaskOptions
) -> tuple[MaskOptions, tuple[str, ...]]:
    """Find out by sizes whether masks were drawn before or after EXIF turned their images."""
    tags = {each: orientation_in(each.image) for each in facts if each.layers is None}
    turned = [sample for sample, tag in tags.items() if tag > 1]
    if not turned:
        return masks, ()
    sideways = [each for each in turned if tags[each] > 4 and len(set(sizes[each.image])) == 2]
    before = [each for each in sideways if facts[each].size == sizes[each.image][::-1]]
    after = [each for each in sideways if facts[each].size == sizes[each.image]]
    count = f"{len(turned)} image{'s' * (len(turned) > 1)}, such as {turned[0].image.name}"
    if before and not after:
        said = "their masks, drawn before that, alike"
        return replace(masks, turned=True), (f"turned upright by an EXIF tag: {count}; {said}",)
    said = "their masks are taken as drawn on the upright images"
    return masks, (f"turned upright by an EXIF tag: {count}; {said}",)


def stored_mask(sample: Sample, masks: MaskOptions) -> Stored:
    """Read what the mask of a sample holds; masks of one thing or class each as their union.

    Raises:
        InputError: a file that cannot be read.
    """
    if sample.layers is None:
        return read_stored(sample.mask, masks, sample.page)
    (width, height), _, _ = header(sample.image)
    return Stored(read_layers(sample, (height, width)), "indices")


def _shown(
    sample: Sample, facts: MaskFacts | None, classes: int, masks: MaskOptions
) -> dict[int, int]:
    """Return the pixels of each class that an image shows; of annotations, 1 for each class."""
    if facts is None:
        assert sample.painting is not None
        return dict.fromkeys(sample.painting.shown(), 1)
    return class_counts(facts.counts, facts.form, classes, masks, facts.name)


def _common(
    learned: Sequence[Sample], images: ImageOptions, deep: Mapping[Path, bool]
) -> tuple[ImageOptions, str]:
    """Choose one stretch for a set of deep images, and say which."""
    chosen = [sample for sample in learned if deep[sample.image]]
    if not chosen:
        return images, ""
    if images.stretch not in (None, "auto"):
        return images, f" shown from {images.stretch}"
    if window := _common_window(chosen):
        low, high = window
        named = f" shown from {low:g} to {high:g}, the files' window"
        return replace(images, stretch=f"{low:g},{high:g}"), named
    every = max(1, len(chosen) // _MEASURED)
    numbers = (read_numbers(each.image, images, each.page) for each in chosen[::every])
    stretch = common_stretch(numbers)
    named = f" shown from {stretch.replace(',', ' to ')}" if stretch and "," in stretch else ""
    return replace(images, stretch=stretch), named


def _common_window(samples: Sequence[Sample]) -> tuple[float, float] | None:
    """Return the window that all DICOM files of a set name; None where they differ."""
    windows = set()
    for path in dict.fromkeys(sample.image for sample in samples):
        volume = volume_of(path)
        windows.add(None if volume is None else volume.facts.window)
    return windows.pop() if len(windows) == 1 else None


def _counted(
    classes: Sequence[str],
    shown: Mapping[Sample, Mapping[int, int]],
    facts: Mapping[Sample, MaskFacts],
) -> dict[str, tuple[int, float | None]]:
    pixels = sum(sum(each.counts.values()) for each in facts.values())
    return {
        name: (
            sum(number in each for each in shown.values()),
            sum(each.get(number, 0) for each in shown.values()) / pixels if pixels else None,
        )
        for number, name in enumerate(classes, 1)
    }


def _shares(counted: Mapping[str, tuple[int, float | None]]) -> str:
    if len(counted) == 1:
        ((_, share),) = counted.values()
        return f", {100 * (share or 0):.2g} % of pixels"
    most = [f"{name} {100 * (share or 0):.2g} %" for name, (_, share) in counted.items()]
    return f" ({', '.join(most[:6])}{', ...' if len(most) > 6 else ''} of pixels)"


def _numbers(counted: Mapping[str, tuple[int, float | None]]) -> str:
    return ", ".join(f"{name} in {images}" for name, (images, _) in counted.items())


def _listed(items: Iterable[str]) -> str:
    found = list(items)
    more = f" and {len(found) - 3} other kinds" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def _warnings(
    classes: Sequence[str],
    learned: Sequence[Sample],
    shown: Mapping[Sample, Mapping[int, int]],
    facts: Mapping[Sample, MaskFacts],
) -> list[str]:
    found = []
    for number, name in enumerate(classes, 1):
        if not any(shown[sample].get(number) for sample in learned):
            found.append(
                f"no training or validation image shows the class '{name}': it cannot be learned; "
                "check --classes and the masks"
            )
        shares = [
            shown[sample].get(number, 0) / max(1, sum(facts[sample].counts.values()))
            for sample in facts
        ]
        if not shares:
            continue
        much = f"over {100 * FULL:.0f} % of every picture"
        mean = sum(shares) / len(shares)
        if min(shares) <= FULL:
            much = f"{100 * mean:.0f} % of the pictures"
        if min(shares) > FULL or mean > _MUCH:
            found.append(
                f"the class '{name}' covers {much}: are the masks inverted, or is it the "
                f"background? ({how_to_invert(list(facts.values()), classes)})"
            )
    if len(classes) > 1 and facts and not any(shown[sample].get(0) for sample in facts):
        found.append(
            "no pixel is background: if the lowest value is (ilastik's labels begin at 1), give "
            "--mask_values '{1: 0, 2: 1, 3: 2}' and name the other classes"
        )
    ignored = [sample for sample in facts if shown[sample].get(IGNORE)]
    if facts and len(ignored) == len(facts):
        whole = sum(shown[each][IGNORE] for each in ignored)
        pixels = sum(sum(each.counts.values()) for each in facts.values())
        if whole > 0.5 * pixels:
            found.append(
                f"{100 * whole / pixels:.0f} % of the masks' pixels are 255 and not counted"
            )
    return found


def leftovers(folder: Path, used: Iterable[Path]) -> list[str]:
    """Say in a line for each kind of files what was passed over.

    Args:
        folder: that was read.
        used: files that belong to a sample, or annotate one.
    """
    if folder.is_file():
        return []
    known = {real(path) for path in used}
    counts: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or real(path) in known:
            continue
        inside = path.relative_to(folder)
        if any(is_hidden(folder / part) for part in (inside, *inside.parents) if part.name):
            counts["hidden files of the system"] += 1
        elif path.suffix.lower() not in SUFFIXES:
            counts[f"*{path.suffix or path.name} (no image)"] += 1
        else:
            counts[f"{inside.parent.as_posix()}/ (images without a partner or beside it)"] += 1
    return [f"{count} x {what}" for what, count in sorted(counts.items())]
