"""What to say when memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from prompttune.utils.errors import InputError


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn an out-of-memory error within into one line that says which switch helps.

    Raises:
        InputError: Memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        on_cpu = isinstance(error, MemoryError) or "can't allocate memory" in text
        if not on_cpu and not isinstance(error, torch.OutOfMemoryError):
            raise
        raise InputError(
            f"out of memory on the {'CPU' if on_cpu else 'GPU'}: take a smaller --batch, "
            "--precision bf16, or for tuning --memory saving"
        ) from error
