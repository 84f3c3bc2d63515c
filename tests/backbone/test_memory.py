"""Out of memory: one line that says which switch helps; other errors pass."""

import pytest
import torch

from prompttune.backbone.memory import explain_out_of_memory
from prompttune.utils.errors import InputError


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (MemoryError(), "CPU"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), "CPU"),
        (torch.OutOfMemoryError("CUDA out of memory"), "GPU"),
    ],
)
def test_memory_that_runs_out_is_one_line(error: Exception, where: str) -> None:
    line = f"out of memory on the {where}: take a smaller --batch"
    with pytest.raises(InputError, match=line), explain_out_of_memory():
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory():
        raise RuntimeError("shapes do not fit")
