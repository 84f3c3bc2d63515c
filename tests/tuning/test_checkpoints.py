"""A checkpoint is whole, and one that is not ends in one line."""

from pathlib import Path

import pytest
import torch

from prompttune.tuning.checkpoints import WholeCheckpointIO, read_checkpoint
from prompttune.tuning.run import CHECKPOINT, SETTINGS, Machine, tune
from prompttune.utils.errors import InputError

QUIET = Machine(progress=False)


def test_it_is_written_beside_its_place_and_by_one_rename(tmp_path: Path) -> None:
    path = tmp_path / "run" / CHECKPOINT
    kept = {"global_step": 3, "x": torch.arange(4)}
    WholeCheckpointIO().save_checkpoint(kept, path)
    inode = path.stat().st_ino
    WholeCheckpointIO().save_checkpoint(kept | {"global_step": 4}, path)
    assert path.stat().st_ino != inode, "the last good one was written over"
    assert [each.name for each in path.parent.iterdir()] == [CHECKPOINT]
    read = WholeCheckpointIO().load_checkpoint(path)
    assert read["global_step"] == 4
    assert torch.equal(read["x"], kept["x"])
    WholeCheckpointIO().remove_checkpoint(path)
    assert not path.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_one_is_one_line(tmp_path: Path, share: float) -> None:
    path = tmp_path / CHECKPOINT
    WholeCheckpointIO().save_checkpoint({"global_step": 3, "x": torch.arange(400)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"no whole checkpoint.*--overwrite"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", [CHECKPOINT, SETTINGS])
def test_a_run_whose_files_are_damaged_does_not_go_on(
    network, recipe, data, tmp_path: Path, name: str
) -> None:
    tune(recipe, network, data, tmp_path / "run", QUIET)
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="start it anew with --overwrite"):
        tune(recipe, network, data, tmp_path / "run", QUIET, resume=True)
