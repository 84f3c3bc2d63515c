"""Tunes in a process of its own, so that it can be stopped at once: `python -m ... FOLDER`.

The folder holds `job.json` and, for each example, `NNN.image` and `NNN.mask.npy`. The run goes to
`run/`, whose checkpoint tells how far it is; the finished key to `key/tuned/`.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

IMAGE, MASK, JOB, RUN, KEY, PROBLEM = "image", "mask.npy", "job.json", "run", "key", "problem.txt"


def main(folder: Path) -> int:
    """Tune as the job says, going on with a run that was stopped; return the exit code."""
    from prompttune.utils.errors import InputError
    from prompttune.workflows.tune import tune

    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    pairs = [
        (path.read_bytes(), np.load(path.with_suffix("").with_suffix(f".{MASK}")))
        for path in sorted(folder.glob(f"*.{IMAGE}"))
    ]
    try:
        prompt = tune(
            pairs,
            classes=job["classes"],
            name="tuned",
            backbone=job["backbone"],
            device=job["device"],
            output=folder / RUN,
            resume=True,
            progress=False,
            **job["values"],
        )
        prompt.save(folder / KEY / "tuned", overwrite=True)
    except InputError as error:
        (folder / PROBLEM).write_text(str(error), encoding="utf-8")
        return 2
    return 0


def end_with(parent: int) -> None:
    """End this process once its parent has gone, however that ended: nobody could stop it then."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with(os.getppid())
    sys.exit(main(Path(sys.argv[1])))
