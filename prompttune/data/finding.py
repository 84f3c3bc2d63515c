"""How a folder's files belong together: what the user said of them, and what was found."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prompttune.data.chosen_pages import ChosenPages
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class Finding:
    """Where a folder's files lie and how they belong together, where that cannot be seen."""

    images_dir: Path | None = None
    masks_dir: Path | None = None
    mask_pattern: str | None = None
    """A mask's name with `{stem}` for its image's: `{stem}_mask.png`."""
    group_by: str | None = None
    """A regular expression; images whose names match it with one text stay in one part."""
    crowds: str = "auto"
    """COCO's crowds: `auto`, `objects` or `ignore`."""
    pages: ChosenPages | None = None
    """Of stacks; None: all."""

    def grouping(self) -> Callable[[Sample], str] | None:
        """Return what names a sample's group; None where nothing was said.

        Raises:
            InputError: not a regular expression.
        """
        if self.group_by is None:
            return None
        try:
            pattern = re.compile(self.group_by)
        except re.error as error:
            raise InputError(f"--group_by '{self.group_by}': {error}") from None

        def group(sample: Sample) -> str:
            match = pattern.search(sample.name)
            return sample.name if match is None else match[pattern.groups and 1]

        return group


ANYWHERE = Finding()


@dataclass(frozen=True)
class Found:
    """The samples of a folder, before they are split."""

    train: Sequence[Sample]
    layout: str
    test: Sequence[Sample] | None = None
    """None: to be split off."""
    val: Sequence[Sample] | None = None
    """None: to be split off."""
    group: Callable[[Sample], str] | None = None
    """None: each sample, or each stack, alone."""
    category_ids: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    """The annotations' own, where none were named and there is one."""
    notes: tuple[str, ...] = ()
