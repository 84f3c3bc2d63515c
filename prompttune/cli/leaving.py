"""How a command's process ends: as Python ends it, but for what takes time and serves nobody.

At its end Python frees one by one the objects that it holds, half a million after `import torch`;
that takes a third of the time of the import. The system frees them all at once. What others rely on
still happens: threads are waited for, exit handlers run, and streams are flushed.
"""

import atexit
import os
import sys
import threading
from typing import NoReturn


def leave(code: object) -> NoReturn:
    """End this process.

    Args:
        code: as `sys.exit` takes it: a number, None for 0, or a text that is printed on stderr
            and means 1.
    """
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
    status = 0 if code is None else code if isinstance(code, int) else 1
    wait, call = getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)
    if wait is None or call is None:  # a Python that keeps these elsewhere ends in its own way
        sys.exit(status)
    wait()
    call()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or a pipe that nobody reads
            status = status or 120  # Python's own code for it
    os._exit(status & 0xFF)
