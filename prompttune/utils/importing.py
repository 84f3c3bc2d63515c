"""Large imports without the search for garbage, of which they leave none."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Import within: the garbage collector rests, and never looks at what was imported.

    PyTorch makes some half a million objects that stay. Looking through them again and again while
    they are made takes a tenth of its import, and every later search would look at them as well.
    Where it is there already, nothing is done: garbage of a program that runs would be kept.
    """
    was = gc.isenabled() and "torch" not in sys.modules
    if not was:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
