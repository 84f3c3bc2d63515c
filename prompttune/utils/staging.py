"""A page and its pictures, written whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prompttune.utils.errors import InputError
from prompttune.utils.paths import check_folder

PAGE, PICTURES, STAGE = "index.html", "pictures", ".unfinished"


@contextmanager
def staged(output: Path, kind: str, is_earlier: Callable[[Path], bool]) -> Iterator[Path]:
    """Give an empty folder inside `output`, and move what was written there to `output` at the end.

    Entered before the work, so that an output that cannot be written is known at once. If the work
    fails, `output` stays as it was.

    Args:
        output: a new or empty folder, or an earlier result, which is replaced.
        kind: names what is written, for messages.
        is_earlier: says whether a folder holds an earlier one.

    Raises:
        InputError: `output` is a file, or a folder with anything but an earlier result in it.
    """
    _check_output(output, kind, is_earlier)
    stage = output / STAGE
    shutil.rmtree(stage, ignore_errors=True)  # of a run that was killed
    stage.mkdir(parents=True)
    try:
        yield stage
        _publish(stage, output)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if not any(output.iterdir()):
            output.rmdir()


def _check_output(output: Path, kind: str, is_earlier: Callable[[Path], bool]) -> None:
    check_folder(output, "--output")
    if not output.is_dir() or {path.name for path in output.iterdir()} <= {STAGE}:
        return
    if not is_earlier(output):
        raise InputError(
            f"{output}: is not empty and holds no earlier {kind}; choose another --output"
        )


def _publish(stage: Path, output: Path) -> None:
    """Move every file, pictures first: a page never names one that is not there yet."""
    files = [path for path in stage.rglob("*") if path.is_file()]
    for path in files:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    (output / PICTURES).mkdir(exist_ok=True)
    for path in sorted(files, key=lambda path: path.parent == stage):
        os.replace(path, output / path.relative_to(stage))
    fresh = {path.name for path in files}
    for path in (output / PICTURES).glob("*.png"):
        if path.name not in fresh:
            path.unlink()
