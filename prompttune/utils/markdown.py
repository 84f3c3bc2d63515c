"""Tables in Markdown."""

from collections.abc import Sequence


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
