"""`python -m prompttune.inspect` is the command `prompttune inspect`."""

from prompttune.cli.commandline import run
from prompttune.cli.inspect import PROG, main

if __name__ == "__main__":
    run(main, PROG)
