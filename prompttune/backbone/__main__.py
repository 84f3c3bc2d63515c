"""`python -m prompttune.backbone` is the command `prompttune backbone`."""

from prompttune.cli.backbone import main
from prompttune.cli.commandline import run

if __name__ == "__main__":
    run(main, "prompttune.backbone")
