"""`python -m prompttune.evaluate` is the command `prompttune evaluate`."""

from prompttune.cli.commandline import run
from prompttune.cli.evaluate import PROG, main

if __name__ == "__main__":
    run(main, PROG)
