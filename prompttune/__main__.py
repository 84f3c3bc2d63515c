"""`python -m prompttune` is the console command `prompttune`."""

from prompttune.cli.main import main

if __name__ == "__main__":
    main()
