"""`python -m prompttune` is the console command `prompttune`."""

from prompttune.cli.main import console

if __name__ == "__main__":
    console()
