"""Large imports: the collector rests within, works afterwards, and leaves what was imported."""

import gc
import subprocess
import sys

from prompttune.utils.importing import uncollected

CODE = """
import gc
from prompttune.utils.importing import uncollected
try:
    with uncollected():
        inside = gc.isenabled()
        kept = [[] for _ in range(1000)]
        raise ValueError
except ValueError:
    print(inside, gc.isenabled(), gc.get_freeze_count() >= 1000)
"""


def test_the_collector_rests_and_works_again() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "False True True\n"


def test_a_program_that_has_it_all_is_left_alone() -> None:
    import torch  # noqa: F401

    frozen = gc.get_freeze_count()
    with uncollected():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
