"""The command `python -m prompttune.backbone`: list, download, convert, verify, start backbones."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.cli.commandline import Parser
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.backbone.checkpoints import Checkpoint

DTYPES = ("float32", "bfloat16", "float16", "int8")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Raises:
        InputError: No such backbone, or one that cannot be used.
    """
    given = parse(argv)
    given.do(given)
    return 0


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(
        prog="prompttune backbone",
        description="List, download, convert, verify and start backbones.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, do: object, summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        command.set_defaults(do=do)
        return command

    source = (
        "name, our .safetensors, an official .pth, "
        "or a folder with config.json and model.safetensors"
    )
    add("list", _list, "list the backbones that have a name, and where they are")
    download = add(
        "download", _download, "fetch a backbone from the Hugging Face Hub, and verify it"
    )
    download.add_argument("name", metavar="NAME", nargs="?", default="seggpt-vit-large",
                          help="which (default: %(default)s)")  # fmt: skip
    convert = add("convert", _convert, "write a backbone as our safetensors file")
    convert.add_argument("source", metavar="SOURCE", help=source)
    convert.add_argument(
        "output", metavar="OUTPUT", type=Path, help="the file to write, .safetensors"
    )
    convert.add_argument(
        "--dtype",
        choices=DTYPES,
        help="cast to this type (default: as stored), int8 with a scale a row; a cast changes the "
        "fingerprint",
    )
    _add_start(
        add("start", _start, "write a backbone that is yet to be trained, its blocks from a DINOv2")
    )
    verify = add("verify", _verify, "check every tensor of a backbone and print its fingerprint")
    verify.add_argument("source", metavar="SOURCE", help=source)
    return parser.parse_args(argv)


def _add_start(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="an .onnx file, or a folder of transformers with config.json and model.safetensors",
    )
    start.add_argument(
        "--output", type=Path, required=True, help="the file to write, .safetensors, fp32"
    )
    start.add_argument(
        "--recipe",
        type=Path,
        required=True,
        help="YAML file of the pre-training whose `init` the file is to be; it has the sizes, and "
        "the seed of all that a DINOv2 lacks",
    )


def _list(given: argparse.Namespace) -> None:
    from prompttune.backbone import hub
    from prompttune.backbone.loading import FETCHED, SHIPPED

    for name, path in SHIPPED.items():
        print(f"{name}: {path if path.is_file() else 'not in this installation'}")
    for name in FETCHED:
        command = f"not here; python -m prompttune.backbone download {name}"
        print(f"{name}: {hub.cached() or command}")


def _download(given: argparse.Namespace) -> None:
    from prompttune.backbone.loading import FETCHED
    from prompttune.utils.errors import suggest

    if given.name not in FETCHED:
        raise InputError(f"no backbone '{given.name}' on the Hub.{suggest(given.name, FETCHED)}")
    _verify(argparse.Namespace(source=given.name))


def _verify(given: argparse.Namespace) -> None:
    _describe(*_read(given.source))


def _convert(given: argparse.Namespace) -> None:
    import torch

    from prompttune.backbone.weights import cast, write_weights

    _require_safetensors(given.output)
    _, checkpoint = _read(given.source)
    tensors = checkpoint.tensors
    if given.dtype:
        tensors = cast(tensors, getattr(torch, given.dtype))
    write_weights(tensors, checkpoint.config, given.output)
    _describe(*_read(str(given.output)))


def _start(given: argparse.Namespace) -> None:
    from prompttune.backbone.weights import write_weights
    from prompttune.pretraining.config import read_recipe
    from prompttune.pretraining.init import grown_network

    _require_safetensors(given.output)
    recipe = read_recipe(given.recipe)
    network = grown_network(recipe.backbone, given.source, recipe.seed)
    write_weights(network.state_dict(), recipe.backbone, given.output)
    _describe(*_read(str(given.output)))


def _require_safetensors(output: Path) -> None:
    if output.suffix != ".safetensors":
        raise InputError(f"{output}: the file to write must end in .safetensors")


def _read(source: str) -> "tuple[Path, Checkpoint]":
    from prompttune.backbone.checkpoints import read_checkpoint
    from prompttune.backbone.loading import locate

    path = locate(source)
    return path, read_checkpoint(path)


def _describe(path: Path, checkpoint: "Checkpoint") -> None:
    from prompttune.backbone.int8 import is_scale
    from prompttune.backbone.weights import fingerprint

    tensors, config = checkpoint.tensors, checkpoint.config
    dtypes = sorted({str(value.dtype).removeprefix("torch.") for value in tensors.values()})
    parameters = sum(x.numel() for name, x in tensors.items() if not is_scale(name, tensors))
    print(f"{path}")
    print(f"layout: {checkpoint.layout}, {' and '.join(dtypes)}")
    print(f"tensors: {len(tensors)}, all named, shaped and finite as they must be")
    print(f"parameters: {parameters:,}")
    print(f"canvas: {config.canvas}, patch {config.patch}, dim {config.dim}, depth {config.depth}")
    print(f"fingerprint: {fingerprint(tensors)}")
