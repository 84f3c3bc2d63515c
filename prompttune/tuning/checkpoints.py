"""The checkpoint of a tuning run: written whole or not at all, and read without running code."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from prompttune.utils.errors import InputError
from prompttune.utils.io import write_whole


class WholeCheckpointIO(CheckpointIO):
    """Makes a Lightning trainer write its checkpoints by one rename.

    Lightning's own writes to the folder of temporary files and moves from there, which is a copy
    where that is another disk: a kill would leave half a checkpoint in place of the last good one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), content.getvalue())

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint onto the CPU."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; tensors and plain values alone are taken.

    Raises:
        InputError: it is damaged, or cannot be opened.
    """
    try:
        read = torch.load(path, weights_only=True, map_location="cpu")
        read["global_step"] + 0
    except PermissionError:
        raise InputError(f"{path}: cannot be opened (permission denied)") from None
    except Exception:  # of damaged bytes torch's reader raises whatever comes
        raise InputError(
            f"{path}: is no whole checkpoint, so the run cannot go on; start it anew with "
            "--overwrite"
        ) from None
    found: dict[str, Any] = read
    return found
