"""`python -m prompttune.studio` is the command `prompttune studio`."""

from prompttune.cli.commandline import run
from prompttune.cli.studio import main

if __name__ == "__main__":
    run(main, "prompttune.studio")
