"""The command `python -m prompttune.pretraining`: pack a pool, look at training samples."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prompttune.cli.commandline import Parser
from prompttune.utils.errors import InputError

PROG = "prompttune.pretraining"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    given = parse(sys.argv[1:] if argv is None else argv)
    code: int = given.do(given)
    return code


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog=f"python -m {PROG}", description="Data for training a backbone.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    packing = commands.add_parser("pack", help="write the sets of a recipe to one file")
    packing.set_defaults(do=_pack)
    packing.add_argument("--short_side", type=int, default=224, help="of the images (default: 224)")
    packing.add_argument("--quality", type=int, default=90, help="of the JPEGs (default: 90)")
    sheet = commands.add_parser("sheet", help="draw samples: prompt, colors, query, colors")
    sheet.set_defaults(do=_sheet)
    sheet.add_argument("--count", type=int, default=48, help="samples to draw (default: 48)")
    sheet.add_argument("--generated", type=float, help="their share, instead of the recipe's")
    costs = commands.add_parser("budget", help="count what a step costs: nothing is computed")
    costs.set_defaults(do=_budget)
    costs.add_argument("--recipe", type=Path, required=True, nargs="+", help="YAML files")
    costs.add_argument("--measure", action="store_true", help="also take two steps of a sample")
    for command in (packing, sheet):
        command.add_argument(
            "--recipe", type=Path, required=True, help="YAML file of a pre-training"
        )
        needed = command is packing
        command.add_argument(
            "--data", type=Path, required=needed, help="folder of sets, or a packed pool"
        )
        command.add_argument("--output", type=Path, required=True, help="the file to write")
    return parser.parse_args(list(argv))


def _pack(given: argparse.Namespace) -> int:
    from prompttune.pretraining.config import read_recipe
    from prompttune.pretraining.sources.packing import pack

    sets = read_recipe(given.recipe).sets
    packed = pack(given.data, sets, given.output, given.short_side, given.quality)
    print(f"{given.output}: {packed.images} images, {packed.size / 2**20:.1f} MiB")
    return 0


def _budget(given: argparse.Namespace) -> int:
    from prompttune.pretraining.budget import budget, measure
    from prompttune.pretraining.config import read_recipe

    gib = 2**30
    print("recipe | parameters, M | GFLOP a sample | state, GiB | activations, GiB | saving, GiB")
    for path in given.recipe:
        recipe = read_recipe(path)
        cost = budget(recipe.backbone)
        cells = (
            path.stem, f"{cost.parameters / 1e6:.1f}", f"{cost.flops / 1e9:.0f}",
            f"{cost.state / gib:.2f}", f"{cost.activations / gib:.2f}", f"{cost.saving / gib:.2f}",
        )  # fmt: skip
        print(" | ".join(cells))
        if given.measure:
            seconds, most = measure(recipe)
            rate = cost.flops / seconds / 1e9
            print(f"  a step took {seconds:.1f} s ({rate:.0f} GFLOP/s), {most / gib:.2f} GiB")
    return 0


def _sheet(given: argparse.Namespace) -> int:
    from prompttune.pretraining.config import read_recipe
    from prompttune.pretraining.contact_sheet import write_sheet
    from prompttune.pretraining.dataset import PairDataset
    from prompttune.pretraining.sources.pool import read_pool

    if given.count < 1:
        raise InputError(f"--count must be at least 1, not {given.count}")
    recipe = read_recipe(given.recipe)
    sets = read_pool(given.data, recipe.sets) if given.data else ()
    mix = recipe.mix
    if given.generated is not None:
        mix = replace(mix, generated=given.generated)
    backbone = recipe.backbone
    samples = PairDataset(sets, backbone.canvas, backbone.patch, mix, recipe.seed)
    write_sheet(samples, given.count, given.output)
    print(given.output)
    return 0
