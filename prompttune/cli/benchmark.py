"""Run a public benchmark under its owners' rules.

prompttune benchmark NAME --data DIR --output OUT
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompttune.cli.commandline import Parser, quote_command
from prompttune.utils.paths import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from prompttune.protocols.protocol import Options

PROG = "prompttune benchmark"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for arguments that cannot be."""
    parser = Parser(
        prog=PROG,
        description=(__doc__ or "").splitlines()[0],
        epilog="The same command goes on with a run that was stopped. Of a set that is not there, "
        "the command says where it is to be had.",
    )
    parser.renamed = {"--memory": "--memory_frames"}
    add = parser.add_argument
    add("name", metavar="NAME", help="a benchmark; list names all, with their homes and terms")
    add("--data", type=Path, metavar="DIR", help="the set as its owners distribute it")
    add("--output", type=Path, metavar="OUT", help="folder for results, table, and pictures")
    add("--backbone", default=DEFAULT_BACKBONE, help=f"name or file (default: {DEFAULT_BACKBONE})")
    add("--shots", type=_positive, default=1, metavar="N", help="examples an answer (default: 1)")
    add("--fold", type=int, default=0, metavar="F", help="of few-shot sets (default: 0)")
    add("--limit", type=_positive, metavar="N", help="only the first N cases")
    add("--prompt", nargs="+", default=[], metavar="KEY", help="keys in place of examples")
    add(
        "--ensemble",
        choices=("feature", "spatial"),
        default="feature",
        help="how several shots join (default: feature)",
    )
    add(
        "--memory_frames",
        type=int,
        default=1,
        metavar="K",
        help="earlier frames of videos (default: 1)",
    )
    add("--seed", type=int, default=0, help="of what is drawn (default: 0, the protocols' own)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    args = parser.parse_args(argv)
    if args.name != "list" and (args.data is None or args.output is None):
        parser.error("--data and --output are needed")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    args = parse(argv)
    from prompttune.protocols.registry import NAMES, find_protocol

    if args.name == "list":
        for name in NAMES:
            protocol = find_protocol(name)
            print(f"{name:18} {protocol.title}: {protocol.home}; terms: {protocol.terms}")
        return 0
    protocol = find_protocol(args.name)
    from prompttune.inference.segmenter import Segmenter
    from prompttune.protocols.runner import Run, check_options, run_benchmark

    options = _options(args)
    check_options(protocol, options)
    segmenter = Segmenter(args.backbone, device=args.device, precision=args.precision)
    words = sys.argv[2:] if argv is None else argv
    command = quote_command(PROG, words).removeprefix("python -m ").replace(f"'{PROG}'", PROG)
    run = Run(protocol, args.data, args.output, options, args.limit, command)
    _print(run_benchmark(run, segmenter), args.output)
    return 0


def _options(args: argparse.Namespace) -> "Options":
    from prompttune.protocols.protocol import Options
    from prompttune.zoo.store import load_prompt

    return Options(
        shots=args.shots,
        fold=args.fold,
        ensemble=args.ensemble,
        memory=args.memory_frames,
        seed=args.seed,
        prompts=tuple(load_prompt(name) for name in args.prompt),
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def _print(content: dict[str, Any], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from prompttune.protocols.report import TEXT, table

    shown = Table(title=f"{content['title']}, {content['backbone']}", box=None)
    for head in ("in percent", "here", "SegGPT's paper"):
        shown.add_column(head, justify="left" if head == "in percent" else "right")
    for line in table(content):
        shown.add_row(*line)
    console = Console()
    console.print(shown)
    console.print(f"seen in training: {content['seen in training']}", highlight=False)
    console.print(f"Table and pictures: {output / TEXT}", soft_wrap=True, highlight=False)
