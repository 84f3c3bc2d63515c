"""`python -m prompttune.pretrain` is the command `prompttune pretrain`."""

from prompttune.cli.commandline import run
from prompttune.cli.pretrain import PROG, main

if __name__ == "__main__":
    run(main, PROG)
