"""`python -m prompttune.pretraining` is the command `prompttune pretraining`."""

from prompttune.cli.commandline import run
from prompttune.cli.pretraining import main

if __name__ == "__main__":
    run(main, "prompttune.pretraining")
