"""The outcomes of a run, one line each, written as they come: a run that was stopped goes on."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompttune.utils.errors import InputError
from prompttune.utils.io import write_whole
from prompttune.utils.resuming import differences

OUTCOMES = "outcomes.jsonl"


class Record:
    """The outcomes in a folder.

    Args:
        folder: of the run; made if need be.
        setting: what must be the same for outcomes to belong together, values of JSON.

    Raises:
        InputError: `folder` is a file, holds anything else, or a run with other settings.
    """

    def __init__(self, folder: Path, setting: dict[str, Any]) -> None:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; --output names a folder")
        path = folder / OUTCOMES
        if folder.is_dir() and not path.exists() and any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty and holds no earlier run; choose another")
        folder.mkdir(parents=True, exist_ok=True)
        self.outcomes = _earlier(path, setting) if path.exists() else {}
        lines = [json.dumps(setting), *(json.dumps(each) for each in self.outcomes.items())]
        write_whole(path, "".join(f"{line}\n" for line in lines))
        self._file = path.open("a", encoding="utf-8")

    def add(self, case: str, outcome: dict[str, Any]) -> None:
        """Keep the outcome of a case."""
        text = json.dumps([case, outcome], allow_nan=False)
        _, self.outcomes[case] = json.loads(text)  # the same now as after a resumption
        self._file.write(f"{text}\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _earlier(path: Path, setting: dict[str, Any]) -> dict[str, dict[str, Any]]:
    head, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    try:
        earlier = json.loads(head)
    except ValueError:
        return {}
    if changed := differences(earlier, setting):
        raise InputError(
            f"{path.parent}: holds a run with another {', '.join(changed)}; choose another --output"
        )
    outcomes = {}
    for line in lines:
        with suppress(ValueError):  # the last one may have been cut short
            case, outcome = json.loads(line)
            outcomes[case] = outcome
    return outcomes
