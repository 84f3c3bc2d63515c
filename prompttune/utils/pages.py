"""Pages out of templates (Jinja2), which escape all that they are given, and tables in Markdown."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from jinja2 import Environment


PACKAGE = Path(__file__).parents[1]


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: its path in the package, `evaluation/comparison.html.jinja`.
        **values: what it names; all of it must be given.
    """
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(PACKAGE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters["link"] = quote
    return made


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """Return a table; bars in its cells are escaped.

    Args:
        head: its first line.
        rows: of as many cells.
        align: a letter a column: `l`, `r`, or anything else for none; missing ones are none.
    """
    rules = {"l": ":---", "r": "---:"}
    under = [rules.get(align[place : place + 1], "---") for place in range(len(head))]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (head, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], under, *cells[1:]))
