"""Train a backbone by in-context coloring.

prompttune pretrain --recipe recipes/pretrain/cpu.yaml [--data DIR] --output RUN --resume

starts a run, or goes on with it wherever it was stopped.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from prompttune.cli.commandline import Parser

PROG = "prompttune.pretrain"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(
        prog="prompttune pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--recipe", type=Path, required=True, help="YAML file, see recipes/pretrain/cpu.yaml")
    add("--data", type=Path, help="folder of sets with images/ and masks/; none: generated only")
    add("--output", type=Path, default=Path("runs/pretrain"), help="where the run is kept")
    add("--init", help="weights to start from, instead of the recipe's")
    add("--max_steps", type=int, help="instead of the recipe's")
    add("--workers", type=int, help="processes that make samples, instead of the recipe's")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--devices", type=int, default=1, help="on each node (default: 1)")
    add("--nodes", type=int, default=1, help="started with NODE_RANK and MASTER_ADDR (default: 1)")
    add(
        "--strategy", choices=("ddp", "fsdp"), default="ddp",
        help="fsdp: each device holds a share of the network (default: %(default)s)",
    )  # fmt: skip
    add("--threads", type=int, help="CPU threads of the network")
    add("--minutes", type=float, help="stop after so long with a checkpoint; --resume goes on")
    add("--compact", action="store_true", help="smaller checkpoints, no longer exact to the bit")
    add("--resume", action="store_true", help="go on with the run in --output, if there is one")
    add("--overwrite", action="store_true", help="start anew where --output holds a run")
    return parser.parse_args(list(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    args = parse(sys.argv[1:] if argv is None else argv)
    import torch
    from lightning.pytorch.utilities import rank_zero_only

    from prompttune.pretraining.config import read_recipe
    from prompttune.pretraining.run import Launch, pretrain

    if args.threads:
        torch.set_num_threads(args.threads)
    names = ("init", "max_steps", "workers")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    recipe = read_recipe(args.recipe, **given)
    launch = Launch(
        args.device, args.devices, args.nodes, args.minutes, args.strategy, args.compact
    )
    result = pretrain(recipe, args.data, args.output, launch, args.resume, args.overwrite)
    rank_zero_only(print)(f"weights: {result}")
    return 0
