"""`python -m prompttune.fit` is the command `prompttune tune`."""

from prompttune.cli.commandline import run
from prompttune.cli.tune import PROG, main

if __name__ == "__main__":
    run(main, PROG)
