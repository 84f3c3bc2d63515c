"""`python -m prompttune.compare` is the command `prompttune compare`."""

from prompttune.cli.commandline import run
from prompttune.cli.compare import PROG, main

if __name__ == "__main__":
    run(main, PROG)
