"""`python -m prompttune.serve` is the command `prompttune serve`."""

from prompttune.cli.commandline import run
from prompttune.cli.serve import main

if __name__ == "__main__":
    run(main, "prompttune.serve")
