"""The command `prompttune export`: a key and its backbone as a file for other programs."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from prompttune.cli.commandline import Parser
from prompttune.utils.errors import InputError
from prompttune.utils.io import whole_file
from prompttune.utils.paths import check_place

PROG = "prompttune export"
OPSET = 23


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog=PROG, description="Write a key and its backbone as one ONNX file.")
    add = parser.add_argument
    add("name", metavar="NAME", help="a key: its name in the zoo, its folder, or user/name")
    add("--format", choices=("onnx",), default="onnx")
    add("--output", metavar="FILE", type=Path, help="to be written (default: NAME.onnx)")
    add("--opset", type=int, default=OPSET, help="of ONNX, 18 or later (default: %(default)s)")
    add(
        "--precision", choices=("fp32", "fp16", "int8"), default="fp32",
        help="fp16: half the size; int8: a quarter, fastest on a CPU (default: %(default)s)",
    )  # fmt: skip
    key = parser.add_mutually_exclusive_group()
    key.add_argument(
        "--embed-key", dest="key_input", action="store_false",
        help="the key is part of the file, and costs no time (the default)",
    )  # fmt: skip
    key.add_argument(
        "--key-input", dest="key_input", action="store_true",
        help="the key is given with every call, so that one file serves all keys of a backbone",
    )  # fmt: skip
    add("--backbone", help="name or weights file (default: the one on the key's card)")
    add("--prompts_zoo", metavar="DIR", type=Path, help="folder of keys")
    add("--json", action="store_true", help="also write what FILE says of itself as FILE.json")
    add("--overwrite", action="store_true", help="replace FILE")
    parser.set_defaults(key_input=False)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    options = parse(argv)
    _check_installed()
    from prompttune.export.onnx_file import OnnxOptions, export_onnx
    from prompttune.inference.segmenter import Segmenter
    from prompttune.keys.header import load_card
    from prompttune.prompts.loading import load_key
    from prompttune.zoo.store import find_key

    how = OnnxOptions(options.opset, options.precision, options.key_input)
    folder = find_key(options.name, options.prompts_zoo)
    card = load_card(folder)
    path = options.output or Path(f"{card.name}.onnx")
    check_place(path, "--output")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; --output names a file")
    if path.exists() and not options.overwrite:
        raise InputError(f"{path}: is there already; choose another --output, or add --overwrite")
    segmenter = Segmenter(options.backbone or card.backbone.name, "cpu", "fp32")
    prompt, _ = load_key(folder, segmenter.network.fingerprint, segmenter.network.name)
    about = export_onnx(prompt, segmenter, path, how)
    if options.json:  # onnxruntime-web cannot read it from the file
        with whole_file(path.with_suffix(".json")) as file:
            file.write(json.dumps(about, indent=1).encode())
    from prompttune.export.check import CLOSE, check_onnx

    found = check_onnx(path, prompt, segmenter)
    print(
        f"{path}: {path.stat().st_size / 2**20:.1f} MiB; scores differ from PyTorch's by at most "
        f"{found.difference:.1e}, {found.agreement:.2%} of the classes are the same, "
        f"{found.time:.2f} of PyTorch's time"
    )
    if how.precision == "fp32" and not found.difference <= CLOSE:
        path.unlink()
        raise InputError(
            f"{path}: removed again, for its scores differ from PyTorch's by more than {CLOSE:g}; "
            "try another --opset"
        )
    return 0


def _check_installed() -> None:
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"export needs {error.name}: pip install 'prompttune[onnx]'") from error
