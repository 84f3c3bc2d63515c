"""`python -m prompttune.predict` is the command `prompttune predict`."""

from prompttune.cli.commandline import run
from prompttune.cli.predict import PROG, main

if __name__ == "__main__":
    run(main, PROG)
