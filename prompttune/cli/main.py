"""The console command `prompttune`: finds the command that the first word names, and runs it."""

import argparse
import atexit
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from prompttune import __version__
from prompttune.cli.commandline import COMPLETING, Parser, run
from prompttune.utils.errors import InputError, suggest

PROG = "prompttune"
COMMANDS = {
    "tune": ("prompttune.cli.tune", "learn a prompt for one task and keep it as a key"),
    "predict": ("prompttune.cli.predict", "segment images or a video with keys, examples or both"),
    "inspect": ("prompttune.cli.inspect", "say what a folder of images and masks holds"),
    "compare": ("prompttune.cli.compare", "score a key beside examples and trained networks"),
    "benchmark": ("prompttune.cli.benchmark", "run a public benchmark under its rules"),
    "evaluate": ("prompttune.cli.evaluate", "score a backbone on images it was not trained on"),
    "pretrain": ("prompttune.cli.pretrain", "train a backbone"),
    "export": ("prompttune.cli.export", "write a key and its backbone as an ONNX file"),
    "serve": ("prompttune.cli.serve", "answer over HTTP with keys"),
    "studio": ("prompttune.cli.studio", "open a page to label, tune, see and apply"),
    "zoo": ("prompttune.cli.zoo", "list, show, verify, remove, push and pull keys"),
    "backbone": (
        "prompttune.cli.backbone",
        "list, fetch, convert, verify, start",
    ),
}
"""Of each command: the module whose `main` runs it, and what it does."""
ALIASES = {"fit": "tune"}
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, 2 for bad input, or what the command says."""
    words = list(sys.argv[1:] if argv is None else argv)
    if COMPLETING in os.environ:
        _complete()
    name = ALIASES.get(words[0], words[0]) if words else ""
    if name in COMMANDS:
        run(lambda: _module(name).main(words[1:]), f"{PROG} {name}")
    run(lambda: _without_command(words), PROG)


def console() -> None:
    """Run the command line as a process of its own, which ends here."""
    try:
        main()
    except SystemExit as done:
        leave(done.code)


def leave(code: object) -> NoReturn:
    """End this process as Python does, but for what takes time and serves nobody.

    At its end Python frees one by one the objects that it holds, half a million after
    `import torch`; that takes a third of the time of the import. The system frees them all at once.
    What others rely on still happens: threads are waited for, exit handlers run, and streams are
    flushed.

    Args:
        code: as `sys.exit` takes it: a number, None for 0, or a text that is printed on stderr
            and means 1.
    """
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
    status = 0 if code is None else code if isinstance(code, int) else 1
    wait, call = getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)
    if wait is None or call is None:  # a Python that keeps these elsewhere ends in its own way
        sys.exit(status)
    wait()
    call()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or a pipe that nobody reads
            status = status or 120  # Python's own code for it
    os._exit(status & 0xFF)


def parser() -> argparse.ArgumentParser:
    """Return the parser of what stands before any command."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items())
    made = Parser(
        prog=PROG,
        description="In-context tuning for SegGPT: learn one prompt per segmentation task.",
        epilog=f"commands:\n{commands}\n\n`{PROG} COMMAND --help` tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    made.add_argument(
        "--completion",
        choices=SHELLS,
        metavar="SHELL",
        help=f'print what completes words in a shell: eval "$({PROG} --completion bash)"',
    )
    command = made.add_argument("command", nargs="?", metavar="COMMAND", help="see below")
    command.completer = lambda **_: list(COMMANDS)  # type: ignore[attr-defined]
    return made


def _without_command(words: Sequence[str]) -> int:
    """Do what was asked for without a command, or say that there is no such command."""
    if words and not words[0].startswith("-"):
        raise InputError(f"unknown command '{words[0]}'.{suggest(words[0], COMMANDS)}")
    given = parser().parse_args(words)
    if given.completion:
        from argcomplete.shell_integration import shellcode

        print(shellcode([PROG], shell=given.completion))
        return 0
    if given.command:
        raise InputError(f"the command comes first: {PROG} {given.command} ... (see --help)")
    parser().print_help()
    return 0


def _module(command: str) -> ModuleType:
    return import_module(COMMANDS[command][0])


def _complete() -> None:
    """Answer a shell that asks for completions, and exit."""
    from argcomplete.lexers import split_line

    line, cursor = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    *_, words, _ = split_line(line, cursor)  # without the word that is being typed
    name = ALIASES.get(words[1], words[1]) if len(words) > 1 else ""
    if name not in COMMANDS:
        parser().parse_args([])
    os.environ[COMPLETING] = "2"  # completion begins one word later: the command is the program
    _module(name).parse(["--help"])
