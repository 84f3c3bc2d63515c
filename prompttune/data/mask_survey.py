"""What all masks of a data set hold together, and what their values therefore mean.

One mask alone may be ambiguous: {0, 255} of a set whose other masks hold {0, 127, 255} is not
black and white. So the masks are looked at together, and one meaning is settled for all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prompttune.data.mask_facts import GRAYS, MaskFacts
from prompttune.data.mask_forms import MaskOptions
from prompttune.data.mask_questions import ask, own_areas, refuse_melting
from prompttune.data.masks import APART, MANY, lie_apart
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

_SPARSE = 3
"""Class indices of which fewer are shown than one in so many are not guessed."""


def settle(
    masks: Sequence[MaskFacts], classes: int, options: MaskOptions, files: bool = True
) -> MaskOptions:
    """Find the one meaning that all masks of a set share.

    Args:
        masks: of the whole set, or of all examples.
        classes: number of foreground classes.
        options: what the user said; it wins.
        files: they come from files; of arrays, who made them knows what is 0.

    Returns:
        `options`, or more definite ones.

    Raises:
        InputError: masks that may mean several things; the line names the option that settles it.
    """
    if options.kind != "auto" or options.values is not None or options.colors is not None:
        return options
    if files:
        ask(masks, classes)
    if any(each.form == "colors" for each in masks):
        return options
    shown = sorted({value for each in masks for value in each.shown})
    if _has_negative_ground(masks) and classes == 1 and len(shown) == 1:
        return replace(options, values={-1: 0, shown[0]: 1})
    if not shown or set(shown) <= {1}:
        return options
    if classes > 1:
        if set(shown) <= {*range(1, classes + 1), IGNORE}:
            return options
        if len(shown) == classes and lie_apart(shown):
            return replace(options, values=_rising(masks, shown))
        return options
    if _number_things(masks):
        return replace(options, kind="instances")
    if any(each.form == "indices" for each in masks):
        return options
    if len(shown) == 1 and APART <= shown[0] != 255 and shown[0] != 65535:
        return replace(options, values=_rising(masks, shown))
    return _of_grays(masks, shown, options)


def _of_grays(
    masks: Sequence[MaskFacts], shown: Sequence[int], options: MaskOptions
) -> MaskOptions:
    """Tell shades along borders from grays that are classes."""
    refuse_melting(masks, shown)
    white = 65535 if shown[-1] > 255 else 255
    shades = any(white // 8 < value < white for value in shown) and shown[-1] > white // 2
    return replace(options, kind="gray") if shades else options


def codes_of(masks: Sequence[MaskFacts], shown: Sequence[int]) -> list[int] | None:
    """Return the grays that stand for classes, in rising order; None where they may not.

    Two grays far apart, or several at equal distances, the darker ones on areas of their own.
    """
    grays = list(shown)
    if not 2 <= len(grays) <= GRAYS or not lie_apart(grays):
        return None
    if len(grays) > 2 and np.ptp(np.diff([0, *grays])) > 3:
        return None
    return grays if own_areas(masks, grays) else None


def _has_negative_ground(masks: Sequence[MaskFacts]) -> bool:
    """Say whether -1 stands where others write 0: then nothing else can be the background."""
    values = {value for each in masks for value in each.counts}
    return -1 in values and 0 not in values


def _rising(masks: Sequence[MaskFacts], shown: Sequence[int]) -> dict[int, int]:
    """Make values the classes in rising order; -1 beside 0 marks what is not counted."""
    if _has_negative_ground(masks):
        return {-1: 0} | {value: number for number, value in enumerate(shown, 1)}
    unset = {-1: IGNORE} if any(-1 in each.counts for each in masks) else {}
    return unset | {0: 0} | {value: number for number, value in enumerate(shown, 1)}


def _number_things(masks: Sequence[MaskFacts]) -> bool:
    """Say whether masks number things rather than classes.

    Many numbers are never classes; few are things where all masks count from 1, to different ends,
    and each number is one piece.
    """
    full = [each for each in masks if each.shown]
    if _differ(full):
        return True
    counting = [each for each in full if each.numbered or each.shown == [1]]
    if len(counting) < 0.9 * len(full) or not any(each.numbered for each in full):
        return False
    highest = [each.shown[-1] for each in full]
    if max(highest) >= MANY:
        return True
    whole = [each.one_piece for each in full if each.numbered]
    return len(set(highest)) >= 3 and len(full) >= 4 and sum(whole) >= 0.9 * len(whole)


def _differ(masks: Sequence[MaskFacts]) -> bool:
    """Say whether masks hold numbers on areas that are others in each mask, or very many."""
    if not all(each.scattered or each.numbered or len(each.shown) == 1 for each in masks):
        return False
    counts = Counter(value for each in masks for value in each.shown)
    if not any(each.scattered for each in masks) or counts.keys() & {255, 65535}:
        return False
    pieces = [each.one_piece for each in masks if each.scattered]
    seldom = len(masks) >= 3 and counts.total() <= 0.34 * len(masks) * len(counts)
    whole = sum(pieces) >= 0.9 * len(pieces)
    return whole and len(counts) > 3 and (len(counts) >= 2 * MANY or seldom)


def guess_classes(
    masks: Sequence[MaskFacts], options: MaskOptions, files: bool = True
) -> tuple[tuple[str, ...], MaskOptions]:
    """Name the classes of examples whose classes nobody named.

    Args:
        masks: of all examples.
        options: what the user said of them.
        files: they come from files; of arrays, grays at any distance are shades.

    Returns:
        `("foreground",)` for masks of one value or of shades, else `"1"`, `"2"`, ...; and the
        meaning of the values.

    Raises:
        InputError: grays that may be classes or shades.
    """
    shown = sorted({value for each in masks for value in each.shown})
    if files and options.kind == "auto" and options.values is None and options.colors is None:
        ask(masks)
    if options.values is not None or options.colors is not None:
        table = options.values or options.colors or {}
        count = max((index for index in table.values() if index != IGNORE), default=1)
        return ("foreground",) if count <= 1 else _numbers(count), options
    if options.kind in ("gray", "alpha", "instances") or any(
        each.form == "colors" for each in masks
    ):
        return ("foreground",), options
    if options.kind == "auto":
        if len(shown) <= 1:
            value = shown[0] if shown else 1
            return ("foreground",), replace(options, values=_rising(masks, [value]))
        if _number_things(masks):
            return ("foreground",), replace(options, kind="instances")
        if codes := codes_of(masks, shown):
            return _numbers(len(codes)), replace(options, values=_rising(masks, codes))
        if files:
            refuse_melting(masks, shown)
        if any(each.shades for each in masks) and shown[-1] > 127:
            return ("foreground",), replace(options, kind="gray")
        if IGNORE in shown and max(set(shown) - {IGNORE}) > 127:  # shades: anti-aliased or a JPEG
            return ("foreground",), replace(options, kind="gray")
    indices = set(shown) - {IGNORE, 65535}
    count = max(indices, default=1)
    if files and options.kind == "auto" and count > _SPARSE * max(1, len(indices)):
        listed = ", ".join(map(str, sorted(indices)[:12])) + (", ..." if len(indices) > 12 else "")
        raise InputError(
            f"{masks[0].name}: the masks hold the values {listed}; say what they mean with "
            "--classes A,B and --mask_values '{7: 1, 26: 2}', or give --mask_kind instances where "
            "they number things"
        )
    return _numbers(count), replace(options, kind="index")


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def describe_masks(masks: Sequence[MaskFacts], classes: Sequence[str], options: MaskOptions) -> str:
    """Say in words how masks were read: `gray, 255 = crack`."""
    forms = Counter(each.form for each in masks)
    form = " and ".join(form for form, _ in forms.most_common())
    shown = sorted({value for each in masks for value in each.shown})
    if not shown:
        return f"{form}, all background"
    if form == "two-color palette":
        return f"{form}, white = {classes[0]}"
    void = any({1, IGNORE} <= set(each.counts) for each in masks)
    if void and shown == [1, IGNORE] and options.values is None:
        return f"{form}, 1 = {classes[0]}, 255 not counted"
    unset = [value for value in (-1, 65535) if any(value in each.counts for each in masks)]
    void = bool(unset) and unset[0] < 0 and not _has_negative_ground(masks)
    apart = f", {unset[0]} not counted" if void else ""
    if unset and len(classes) > 1 and options.values is None and unset[0] > 0:
        apart = f", {unset[0]} not counted" if 255 not in shown or len(shown) > 1 else ""
    return f"{form}, {_meaning(shown, classes, options)}{apart}"


def _meaning(shown: Sequence[int], classes: Sequence[str], options: MaskOptions) -> str:
    one = classes[0]
    if options.colors is not None:
        names = dict(enumerate(classes, 1)) | {0: "background"}
        named = (f"#{key:06x} = {names.get(i, 'ignored')}" for key, i in options.colors.items())
        return ", ".join(named)
    if options.values is not None:
        names = dict(enumerate(classes, 1)) | {0: "background"}
        table = {v: i for v, i in options.values.items() if v or i}
        return ", ".join(f"{v} = {names.get(i, 'ignored')}" for v, i in table.items())
    if options.kind == "instances":
        return f"numbers of things (up to {shown[-1]}): all above 0 = {one}"
    if len(classes) > 1:
        listed = ", ".join(f"{number} = {name}" for number, name in enumerate(classes[:6], 1))
        return listed + (", ..." if len(classes) > 6 else "")
    if len(shown) == 1:
        return f"#{shown[0]:06x} = {one}" if shown[0] > 65535 else f"{shown[0]} = {one}"
    if options.kind == "index" or shown == [1]:
        return f"1 = {one}"
    if shown[0] == 1 and shown[-1] == IGNORE and len(shown) == 2:
        return f"1 or 255 = {one}"
    white = 65535 if shown[-1] > 255 else 255
    return f"shades above {white // 2} = {one}"
