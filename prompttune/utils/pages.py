"""Pages out of templates and tables, written whole or not at all with their pictures.

Templates are Jinja2's, which escape all that they are given.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prompttune.utils.errors import InputError
from prompttune.utils.io import publish
from prompttune.utils.locking import alone_in
from prompttune.utils.paths import check_folder

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


PAGE, PICTURES, STAGE = "index.html", "pictures", ".unfinished"


@contextmanager
def staged(output: Path, kind: str, is_earlier: Callable[[Path], bool]) -> Iterator[Path]:
    """Give an empty folder inside `output`, and move what was written there to `output` at the end.

    Entered before the work, so that an output that cannot be written is known at once. If the work
    fails, `output` stays as it was. One run at a time works on an `output`.

    Args:
        output: a new or empty folder, or an earlier result, which is replaced.
        kind: names what is written, for messages.
        is_earlier: says whether a folder holds an earlier one.

    Raises:
        InputError: `output` is a file, or a folder with anything but an earlier result in it, or
            another run is at work there.
    """
    check_folder(output, "--output")
    with alone_in(output):
        _check_output(output, kind, is_earlier)
        stage = output / STAGE
        shutil.rmtree(stage, ignore_errors=True)  # of a run that was killed
        stage.mkdir()
        try:
            yield stage
            _publish(stage, output)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def _check_output(output: Path, kind: str, is_earlier: Callable[[Path], bool]) -> None:
    names = {path.name for path in output.iterdir()}
    # Where one was staged, a run was killed: perhaps while it moved its files.
    if not names or STAGE in names:
        return
    if not is_earlier(output):
        raise InputError(
            f"{output}: is not empty and holds no earlier {kind}; choose another --output"
        )


def _publish(stage: Path, output: Path) -> None:
    """Move every file, pictures first and the page last: a page that is there is whole.

    All are on the disk before the first is moved: on a full one nothing changes.

    That of an earlier result goes first, so that a kill in between leaves no page rather than one
    with other pictures.
    """
    files = [path for path in stage.rglob("*") if path.is_file()]
    for path in files:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    for path in files:
        if path.parent == stage:
            (output / path.name).unlink(missing_ok=True)
    (output / PICTURES).mkdir(exist_ok=True)
    for path in sorted(files, key=lambda path: (path.parent == stage, path.name == PAGE)):
        publish(path, output / path.relative_to(stage))
    fresh = {path.name for path in files}
    for path in (output / PICTURES).glob("*.png"):
        if path.name not in fresh:
            path.unlink()
