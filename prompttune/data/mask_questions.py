"""What masks may mean in several ways is asked: one line that names the options that settle it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from prompttune.data.mask_facts import MaskFacts
from prompttune.data.masks import lie_apart
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

_MUCH = 0.1
_SPARSE = 3
"""Values of which fewer are shown than one in so many have gaps."""
_GROUND, _RIM = 0.8, 0.9
"""What covers so much of all masks, and of their outermost pixels, is rather the ground."""
_DARK = 64
"""A color whose channels are all below this is rather the ground than white is."""
_WHITE = 0xFFFFFF


def ask(masks: Sequence[MaskFacts], classes: int = 1) -> None:
    """Refuse masks of files whose background cannot be known.

    Args:
        masks: of the whole set, or of all examples.
        classes: number of foreground classes.

    Raises:
        InputError: there are such masks; the line names the options that settle it.
    """
    _ask_palettes(masks, classes)
    _ask_ground(masks, classes)
    _ask_negative(masks)
    _ask_void(masks, classes)


def _ask_palettes(masks: Sequence[MaskFacts], classes: int) -> None:
    """Ask where colors say something else than a palette's indices."""
    first: dict[int, tuple[int, str]] = {}
    for mask in (each for each in masks if each.form == "indices"):
        for index, color in mask.palette.items():
            if list(mask.palette.values()).count(color) > 1:
                continue
            other, name = first.setdefault(color, (index, mask.name))
            if other != index:
                raise InputError(
                    f"{mask.name}: in its palette #{color:06x} is index {index}, in that of {name} "
                    f"index {other}: {_named(mask.palette)}, or give --mask_kind index if the "
                    "colors mean nothing"
                )
    for mask in masks:
        colors = [color for color in mask.palette.values() if color]
        if mask.form == "colors" and mask.palette and (classes > 1 or len(colors) > 1):
            black = next(index for index, color in mask.palette.items() if not color)
            raise InputError(
                f"{mask.name}: in its palette black, mostly the background, is index {black}: "
                f"{_named(mask.palette)}, or give --mask_kind index if 0 is the background"
            )
    found = [each for each in masks if each.form == "indices" and _has_white_ground(each)]
    if found and _pixels(found, _WHITE) > _pixels(found, found[0].palette[0]):
        raise InputError(
            f"{found[0].name}: in its palette index 0 is #{found[0].palette[0]:06x}, but most is "
            f"white: {_named(found[0].palette, _WHITE)}, or give --mask_kind index if 0 is the "
            "background"
        )


def _has_white_ground(mask: MaskFacts) -> bool:
    """Say whether white, and no black, is used beside a first color that is neither."""
    colors = set(mask.palette.values())
    if not {0}.isdisjoint(colors) or _WHITE not in colors or 0 not in mask.palette:
        return False
    zero = mask.palette[0]
    return zero != _WHITE and max(zero >> 16, (zero >> 8) & 255, zero & 255) >= _DARK


def _pixels(masks: Sequence[MaskFacts], color: int) -> int:
    """Count the pixels of a palette's color."""
    return sum(
        mask.counts.get(index, 0)
        for mask in masks
        for index, own in mask.palette.items()
        if own == color
    )


def _named(palette: Mapping[int, int], ground: int = 0) -> str:
    """Show how a palette's colors are named."""
    colors = [color for color in dict.fromkeys(palette.values()) if color != ground]
    listed = ",".join(
        f"{letter}=#{color:06x}" for letter, color in zip("ABC", colors, strict=False)
    )
    more = f",background=#{ground:06x}" if ground else ""
    return f"name the classes' colors, --colors {listed}{more}"


def _ask_ground(masks: Sequence[MaskFacts], classes: int) -> None:
    """Ask where the one class covers nearly all, and the rims of the pictures too."""
    values = {value for mask in masks for value in mask.counts}
    forms = {mask.form for mask in masks}
    gray = forms <= {"gray"} and values in ({0, 255}, {0, 65535})
    indices = forms == {"indices"} and values == {0, 1} and any(m.palette.get(0) for m in masks)
    if classes > 1 or not masks or not (gray or indices or forms == {"two-color palette"}):
        return
    shares = [1 - mask.counts.get(0, 0) / max(1, sum(mask.counts.values())) for mask in masks]
    rims = [mask.rim for mask in masks]
    if min(shares) == 1 or sum(shares) < _GROUND * len(masks) or sum(rims) < _RIM * len(masks):
        return
    kind = "gray" if not indices else "index"
    shown = "white" if not indices else "index 1"
    other = "black" if not indices else "index 0"
    raise InputError(
        f"{masks[0].name}: {shown} covers {100 * sum(shares) / len(masks):.0f} % of the masks, up "
        f"to their rims: give --mask_kind {kind} if {shown} is the class, or "
        f"{how_to_invert(masks, ['A'])} if {other} is"
    )


def how_to_invert(masks: Sequence[MaskFacts], classes: Sequence[str]) -> str:
    """Name the option that makes the background of masks of one class the class, as they are.

    Args:
        masks: of the whole set, or of all examples.
        classes: names of the foreground classes.
    """
    values = sorted({value for mask in masks for value in mask.counts})
    if len(classes) > 1 or len(values) != 2 or any(mask.form == "colors" for mask in masks):
        return "--mask_values says what each value means"
    if any(mask.form == "two-color palette" for mask in masks):
        return f"--colors {classes[0]}=#000000,background=#ffffff"
    return f"--mask_values '{{{values[0]}: 1, {values[1]}: 0}}'"


def _ask_negative(masks: Sequence[MaskFacts]) -> None:
    """Ask whether -1 beside nothing but 0 is the class or the background."""
    if {value for mask in masks for value in mask.counts} == {-1, 0}:
        name = next(mask.name for mask in masks if -1 in mask.counts)
        raise InputError(
            f"{name}: the masks hold -1 and 0 alone: give --mask_values '{{-1: 1, 0: 0}}' if -1 is "
            "the class (255 in 8 bits with a sign), '{-1: 0, 0: 1}' if it is the background"
        )


def _ask_void(masks: Sequence[MaskFacts], classes: int) -> None:
    """Ask whether what several classes do not count, -1 or 255, is their background."""
    total: Counter[int] = sum((Counter(mask.counts) for mask in masks), Counter())
    rising = sorted(total.keys() - {-1, IGNORE})
    void = next((value for value in (-1, IGNORE) if value in total), None)
    if classes == 1 or void is None or not rising or rising[-1] > classes:
        return
    most = void == -1 or 2 * total[void] > total.total()
    from_zero = void == -1 and rising == list(range(classes))  # the classes are counted from 0
    if (most and 0 not in total) or from_zero:
        name = next(mask.name for mask in masks if void in mask.counts)
        ground = _table({void: 0} | {value: n for n, value in enumerate(rising, 1)})
        unset = _table({void: IGNORE} | {value: value for value in rising})
        raise InputError(
            f"{name}: the masks hold {void} beside {', '.join(map(str, rising))}: give "
            f"--mask_values {ground} if {void} is the background, {unset} if it is not counted"
        )


def _table(values: Mapping[int, int]) -> str:
    return "'{" + ", ".join(f"{value}: {index}" for value, index in values.items()) + "}'"


def refuse_melting(masks: Sequence[MaskFacts], shown: Sequence[int]) -> None:
    """Refuse to take grays that cover areas of their own for shades of one class.

    Raises:
        InputError: there are such grays; the line names the options that settle it.
    """
    if len(shown) > 1 and lie_apart(shown) and own_areas(masks, shown):
        listed = ", ".join(map(str, shown))
        raise InputError(
            f"{_example_of(masks, shown)}: the masks hold the grays {listed}, each on areas of its "
            f"own; name {len(shown)} classes with --classes, or give --mask_kind gray if only what "
            "is brighter than half is meant, --mask_kind instances where they number things"
        )
    gaps = shown and shown[-1] > _SPARSE * len(shown) and shown[-1] not in (255, 65535)
    if gaps and any(each.scattered for each in masks):
        listed = ", ".join(map(str, shown[:12])) + (", ..." if len(shown) > 12 else "")
        raise InputError(
            f"{next(each.name for each in masks if each.scattered)}: the masks hold the values "
            f"{listed}, each on areas of its own; give --mask_kind instances where they number "
            "things, or name the classes with --classes and --mask_values"
        )
    if between := [each for each in masks if each.middle > _MUCH]:
        raise InputError(
            f"{between[0].name}: areas of a gray between black and white, in a mask with noise (a "
            "JPEG?); name the gray of each class with --colors A=#7f7f7f,B=#ffffff, or give "
            "--mask_kind gray if only what is brighter than half is meant"
        )


def own_areas(masks: Sequence[MaskFacts], grays: Sequence[int]) -> bool:
    """Say whether all but the brightest gray cover areas of their own."""
    own = frozenset().union(*(each.areas for each in masks)) | {grays[-1]}
    return own >= set(grays)


def _example_of(masks: Sequence[MaskFacts], grays: Sequence[int]) -> str:
    darkest = grays[0]
    return next((each.name for each in masks if darkest in each.counts), masks[0].name)
