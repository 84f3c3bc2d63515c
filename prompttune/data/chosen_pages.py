"""Some pages of a stack, as a user names them: `3,5-9`."""

import re
from dataclasses import dataclass
from pathlib import Path

from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class ChosenPages:
    """Pages of every stack; images of one page are taken as they are."""

    text: str
    """As it was given."""
    ranges: tuple[tuple[int, int | None], ...]
    """First and last of each run of pages, from 1; None: to the end of the stack."""

    @classmethod
    def of(cls, text: str | int | None) -> "ChosenPages | None":
        """Read them as commands take them.

        Args:
            text: numbers and ranges from 1 on, `3,5-9` or `10-`; None: all pages.

        Returns:
            The choice; None for all pages.

        Raises:
            InputError: anything else.
        """
        if text is None:
            return None
        ranges: list[tuple[int, int | None]] = []
        for part in str(text).split(","):
            match = re.fullmatch(r"\s*(\d{1,9})\s*(-\s*(\d{1,9})?)?\s*", part)
            first = int(match[1]) if match else 0
            last = first if match and not match[2] else match and match[3] and int(match[3])
            if not first or (last and last < first) or last == 0:
                raise InputError(f"--pages {text}: give numbers and ranges from 1 on, as 3,5-9")
            ranges.append((first, int(last) if last else None))
        return cls(str(text), tuple(ranges))

    def of_stack(self, count: int, path: Path) -> list[int]:
        """Return the chosen pages of a stack, from 0, in rising order.

        Args:
            count: how many pages it has.
            path: names it.

        Raises:
            InputError: a page that it does not have.
        """
        if count == 1:
            return [0]
        found: set[int] = set()
        for first, last in self.ranges:
            if max(first, last or 0) > count:
                raise InputError(f"{path}: has {count} pages; --pages {self.text} asks for others")
            found.update(range(first - 1, last or count))
        return sorted(found)

    def wanted(self, count: int, path: Path) -> list[int] | None:
        """Return the chosen pages of a stack, as `of_stack`; None where they are all of them."""
        found = self.of_stack(count, path)
        return None if len(found) == count else found
