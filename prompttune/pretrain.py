"""`python -m prompttune.pretrain`: train a backbone by in-context colouring."""

import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from prompttune.errors import InputError, run

PROG = "python -m prompttune.pretrain"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog=PROG, description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True, help="YAML file, see recipes/pretrain-tiny.yaml")
    parser.add_argument("--data", type=Path, help="folder of sets with images/ and masks/; none: generated only")
    parser.add_argument("--output", type=Path, default=Path("runs/pretrain"), help="where the run is kept")
    parser.add_argument("--max_steps", type=int, help="instead of the recipe's")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        import torch

        torch.set_num_threads(arguments.threads)
    from prompttune.pretraining.run import pretrain

    recipe = _read_recipe(arguments)
    result = pretrain(recipe, arguments.data, arguments.output, arguments.resume, arguments.device)
    print(f"weights: {result}")
    return 0


def _read_recipe(arguments: Namespace) -> Any:
    from prompttune.pretraining.run import PretrainRecipe

    if not arguments.recipe.is_file():
        raise InputError(f"{arguments.recipe}: no such recipe")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PretrainRecipe, "recipe")
    try:
        values = parser.parse_string("recipe:\n" + _indent(arguments.recipe.read_text(encoding="utf-8")))
        if arguments.max_steps is not None:
            values.recipe.max_steps = arguments.max_steps
        return parser.instantiate_classes(values).recipe
    except InputError:
        raise
    except Exception as error:  # jsonargparse raises several kinds, all of them about the recipe
        raise InputError(f"{arguments.recipe}: {error}") from error


def _indent(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    run(lambda: main(sys.argv[1:]), PROG)
