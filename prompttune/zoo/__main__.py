"""`python -m prompttune.zoo` is the command `prompttune zoo`."""

from prompttune.cli.commandline import run
from prompttune.cli.zoo import main

if __name__ == "__main__":
    run(main, "prompttune.zoo")
