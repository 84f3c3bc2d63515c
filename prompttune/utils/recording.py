"""The results of a run, one line each, written as they come: a run that was stopped goes on."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prompttune.utils.errors import InputError
from prompttune.utils.io import write_whole
from prompttune.utils.locking import alone_in
from prompttune.utils.paths import check_folder
from prompttune.utils.resuming import check_same_run


@contextmanager
def one_run(output: Path) -> Iterator[None]:
    """Keep other runs out of a folder of results, from its record to its report.

    Args:
        output: of the run; it is made.

    Raises:
        InputError: it cannot be a folder, or another run is at work there.
    """
    check_folder(output, "--output")
    with alone_in(output):
        yield


class Record:
    """The results in a file of lines of JSON, each a name and its result.

    Args:
        path: of the file; its folder is made.
        setting: values of JSON that must be the same for results to belong together, the file's
            first line; None: it has no such line.
        forget: begin anew, whatever is there.

    Raises:
        InputError: the folder holds anything else, or a run with other settings.
    """

    def __init__(
        self, path: Path, setting: Mapping[str, Any] | None = None, forget: bool = False
    ) -> None:
        folder = path.parent
        if folder.is_dir() and not path.exists() and any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty and holds no earlier run; choose another")
        folder.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, dict[str, Any]] = {}
        if path.exists() and not forget:
            self.results = _earlier(path, setting)
        head = [] if setting is None else [json.dumps(setting)]
        lines = [*head, *(json.dumps(each) for each in self.results.items())]
        write_whole(path, "".join(f"{line}\n" for line in lines))
        self._file = path.open("a", encoding="utf-8")

    def add(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep a result, values of JSON."""
        text = json.dumps([name, result], allow_nan=False)
        _, self.results[name] = json.loads(text)  # the same now as after a resumption
        self._file.write(f"{text}\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _earlier(path: Path, setting: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    if setting is not None:
        head, *lines = lines or [""]
        try:
            earlier = json.loads(head)
        except ValueError:  # killed before its first line was whole
            return {}
        check_same_run(path.parent, earlier, setting, "or choose another --output")
    results = {}
    for line in lines:
        with suppress(ValueError):  # the last one may have been cut short
            name, result = json.loads(line)
            results[name] = result
    return results
