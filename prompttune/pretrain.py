"""Train a backbone by in-context colouring.

python -m prompttune.pretrain --recipe recipes/pretrain-tiny.yaml [--data DIR]
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from prompttune.commandline import OneLineErrors, run
from prompttune.errors import InputError

if TYPE_CHECKING:
    from prompttune.pretraining.run import PretrainRecipe

PROG = "prompttune.pretrain"


def parse(argv: Sequence[str]) -> Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = _Parser(prog=f"python -m {PROG}", description=__doc__)
    add = parser.add_argument
    add("--recipe", type=Path, required=True, help="YAML file, see recipes/pretrain-tiny.yaml")
    add("--data", type=Path, help="folder of sets with images/ and masks/; none: generated only")
    add("--output", type=Path, default=Path("runs/pretrain"), help="where the run is kept")
    add("--init", type=Path, help="weights to start from, instead of the recipe's")
    add("--max_steps", type=int, help="instead of the recipe's")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--threads", type=int, help="CPU threads of the network")
    add("--resume", action="store_true", help="go on with the run in --output")
    return parser.parse_args(list(argv))


class _Parser(OneLineErrors, ArgumentParser):
    """A parser whose errors are `InputError`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    args = parse(sys.argv[1:] if argv is None else argv)
    import torch

    from prompttune.pretraining.run import pretrain

    if args.threads:
        torch.set_num_threads(args.threads)
    given = {name: args[name] for name in ("init", "max_steps") if args[name] is not None}
    recipe = read_recipe(args.recipe, **given)
    result = pretrain(recipe, args.data, args.output, args.resume, args.device)
    print(f"weights: {result}")
    return 0


def read_recipe(path: Path, **overrides: Any) -> "PretrainRecipe":
    """Read a recipe's YAML.

    Raises:
        InputError: No such file, or values that make no recipe.
    """
    from prompttune.pretraining.run import PretrainRecipe

    if not path.is_file():
        raise InputError(f"{path}: no such recipe")
    parser = _Parser()
    parser.add_class_arguments(PretrainRecipe)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        parsed = parser.parse_object({**values, **overrides})
        return PretrainRecipe(**vars(parser.instantiate(parsed)))
    except (InputError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"recipe {path}: {error}") from error


if __name__ == "__main__":
    run(main, PROG)
