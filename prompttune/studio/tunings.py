"""Tunings that pages have begun: each a process and a folder, to stop and to go on with."""

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.serve.limits import Refused
from prompttune.studio.worker import IMAGE, JOB, KEY, MASK, PROBLEM, RUN
from prompttune.tuning.run import CHECKPOINT

MAX_AT_ONCE = 2
VALUES = {"init": "best-generated", "val_crops": 16, "group": 0, "batch": 4}
"""Of the recipe, for every tuning that a page begins."""


@dataclass
class Tuning:
    """One tuning."""

    folder: Path
    classes: tuple[str, ...]
    scale: float
    canvas: int
    fingerprint: str
    steps: int
    process: "subprocess.Popen[bytes] | None" = None
    is_stopped: bool = False
    _seen: int = 0
    _kept: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Begin, or go on where it was stopped."""
        self.is_stopped = False
        (self.folder / PROBLEM).unlink(missing_ok=True)
        command = [sys.executable, "-m", "prompttune.studio.worker", str(self.folder)]
        errors = (self.folder / "errors.txt").open("wb")
        with errors:
            self.process = subprocess.Popen(command, stdout=errors, stderr=errors)

    def stop(self) -> None:
        """End the process; what the last validation found is kept."""
        self.is_stopped = True
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def runs(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def state(self) -> dict[str, Any]:
        """Say how far it is: step, Dice of each validation, and how it ended."""
        checkpoint = self._checkpoint()
        history = [[round(s, 1), round(d, 4)] for s, d in checkpoint.get("history", [])]
        code = None if self.process is None else self.process.poll()
        done = (self.folder / KEY / "tuned" / "prompt.safetensors").is_file()
        ended = "done" if done else "stopped" if self.is_stopped else "failed"
        problem = None
        if code not in (None, 0) and not self.is_stopped:
            told = self.folder / PROBLEM
            problem = told.read_text() if told.is_file() else "Tuning ended before it was done."
        return {
            "state": "running" if self.runs else ended,
            "step": checkpoint.get("global_step", 0),
            "steps": self.steps,
            "history": history,
            "version": len(history) + done,
            "problem": problem,
        }

    def prompt(self) -> Any:
        """Return the finished key's prompt, or the best of the validations so far.

        Raises:
            Refused: 409, there has been no validation yet.
        """
        key = self.folder / KEY / "tuned"
        if (key / "prompt.safetensors").is_file():
            if "key" not in self._kept:
                self._kept["key"] = load_key(key, self.fingerprint)[0]
            return self._kept["key"]
        best = self._checkpoint().get("best", {})
        if "learned" not in best:
            raise Refused(409, "Tuning has nothing to show yet.")
        if self._kept.get("step") != best["step"]:
            self._kept = {"step": best["step"], "prompt": self._learned(best["learned"])}
        return self._kept["prompt"]

    def _learned(self, learned: dict[str, torch.Tensor]) -> Prompt:
        images, colors = (
            next(value for name, value in learned.items() if name.endswith(kind)).clamp(0, 1)
            for kind in ("images", "colors")
        )
        return Prompt(
            tuple(images), tuple(colors), Palette.of(self.classes), self.scale, self.canvas,
            fingerprint=self.fingerprint, name="tuning",
        )  # fmt: skip

    def _checkpoint(self) -> dict[str, Any]:
        path = self.folder / RUN / CHECKPOINT
        try:
            changed = path.stat().st_mtime_ns
            if changed != self._seen:
                self._last = torch.load(path, weights_only=True, map_location="cpu")
                self._seen = changed
        except (OSError, RuntimeError, EOFError):
            return getattr(self, "_last", {})
        return self._last


class Tunings:
    """All tunings of a server.

    Args:
        folder: temporary; its owner removes it.
        backbone: name or file, for the processes.
        device: theirs.
    """

    def __init__(self, folder: Path, backbone: str, device: str) -> None:
        self._folder, self._backbone, self._device = folder, backbone, device
        self._all: dict[str, Tuning] = {}

    def begin(
        self,
        examples: list[tuple[bytes, np.ndarray]],
        classes: tuple[str, ...],
        scale: float,
        canvas: int,
        fingerprint: str,
        steps: int,
    ) -> str:
        """Begin a tuning and return its name.

        Raises:
            Refused: 429, as many as may be run already.
        """
        if sum(each.runs for each in self._all.values()) >= MAX_AT_ONCE:
            raise Refused(429, "Two tunings run already; stop one first.", {"retry-after": "30"})
        name = secrets.token_hex(16)
        folder = self._folder / name
        folder.mkdir()
        for number, (image, mask) in enumerate(examples):
            (folder / f"{number:03}.{IMAGE}").write_bytes(image)
            np.save(folder / f"{number:03}.{MASK}", mask, allow_pickle=False)
        every = max(1, min(20, steps // 5))
        values = VALUES | {"scale": scale, "max_steps": steps, "val_every": every}
        job = {
            "classes": classes, "values": values,
            "backbone": self._backbone, "device": self._device,
        }  # fmt: skip
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        self._all[name] = Tuning(folder, classes, scale, canvas, fingerprint, steps)
        self._all[name].start()
        return name

    def get(self, name: str) -> Tuning:
        """Return a tuning.

        Raises:
            Refused: 410, there is none of this name.
        """
        if name not in self._all:
            raise Refused(410, "The server has not got this tuning any more.")
        return self._all[name]

    def go_on(self, name: str) -> None:
        """Go on with a tuning that was stopped; raises `Refused` as `get`."""
        tuning = self.get(name)
        if not tuning.runs:
            tuning.start()

    def close(self) -> None:
        """End all processes."""
        for each in self._all.values():
            each.stop()
