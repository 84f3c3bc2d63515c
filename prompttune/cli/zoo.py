"""The command `python -m prompttune.zoo`: list, show, verify and remove keys, or lay them out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.cli import zoo_sharing as share
from prompttune.cli.commandline import Parser
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from prompttune.keys.card import Card, Scores


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 1 where a listed or shown key cannot be read.

    Raises:
        InputError: no such key, or one that breaks the format.
    """
    given = parse(argv)
    code: int = given.do(given)
    return code


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(
        prog="prompttune zoo",
        description="Keep learned prompts (keys): list, show, verify, share and remove them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for do, name, summary in (
        (_list, "list", "list your own keys and those that came with prompttune"),
        (_show, "show", "show the card of a key"),
        (
            _verify,
            "verify",
            "check all of a key, and that it fits its backbone where that is at hand",
        ),
        (_remove, "remove", "remove a key of your own"),
        (share.push, "push", "upload a key to the Hugging Face Hub"),
        (share.pull, "pull", "fetch keys from the Hub, or from a zoo behind a web server"),
        (share.index, "index", "write the index by which a web server's keys are fetched"),
        (_gallery, "gallery", "write an HTML page of the keys, with sample predictions"),
    ):
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        command.set_defaults(do=do)
        if do is _gallery:
            _add_gallery(command)
        elif do in share.ARGUMENTS:
            share.ARGUMENTS[do](command)
        elif do is not _list:
            place = "its name" if do is _remove else "its name, or its folder"
            command.add_argument("name", metavar="NAME", help=place)
        command.add_argument(
            "--prompts_zoo",
            metavar="DIR",
            type=Path,
            help="look here before the shipped keys, instead of your own folder",
        )
    return parser.parse_args(argv)


def _add_gallery(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--output", required=True, metavar="DIR", type=Path, help="where the page goes")
    add("--key", metavar="NAME", help="show this key alone")
    add("--data", metavar="DIR", type=Path, help="with --key: predict images of its task's folder")
    add(
        "--images", type=int, metavar="N", default=3,
        help="sample predictions a key (default: %(default)s); 0: none, and no backbone is loaded",
    )  # fmt: skip


def _list(given: argparse.Namespace) -> int:
    from rich.console import Console

    from prompttune.zoo.store import list_keys, zoo_folders

    entries = list_keys(given.prompts_zoo)
    if not entries:
        print(f"no keys in {' or '.join(map(str, zoo_folders(given.prompts_zoo)))}")
        return 0
    table = _new_table("key", "task", "classes", "backbone", "Dice", "where")
    for entry in entries:
        where = "shipped" if entry.shipped else "own"
        cells = _summary(entry.card) if entry.card else ["cannot be read", "", "", ""]
        table.add_row(*map(_text, [entry.name, *cells, where]))
    Console().print(table)
    problems = [entry.problem for entry in entries if entry.problem]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _show(given: argparse.Namespace) -> int:
    import json

    from rich.console import Console

    from prompttune.keys.card import Card
    from prompttune.keys.header import load_card
    from prompttune.zoo.store import find_key

    folder = find_key(given.name, given.prompts_zoo)
    card = load_card(folder)
    table = _new_table("field", "value")
    plain = card.model_dump(mode="json", include=set(Card.model_fields) - {"scores", "classes"})
    for field, value in plain.items():
        if value is not None:
            # As JSON, a control code in a card does not reach the terminal.
            clean = isinstance(value, str) and value.isprintable()
            table.add_row(_text(field), _text(value if clean else json.dumps(value)))
    classes = [
        f"{c.name} #{c.colour[0]:02x}{c.colour[1]:02x}{c.colour[2]:02x}" for c in card.classes
    ]
    table.add_row("classes", _text(", ".join(classes)))
    table.add_row("folder", _text(str(folder)))
    console = Console()
    console.print(table)
    for scores in card.scores:
        console.print(_score_table(scores))
    return 0


def _verify(given: argparse.Namespace) -> int:
    from prompttune.backbone import load
    from prompttune.prompts.loading import load_key
    from prompttune.zoo.store import find_key

    folder = find_key(given.name, given.prompts_zoo)
    _, card = load_key(folder)
    sizes = f"{card.prompts} x 3 x {card.canvas} x {card.canvas}"
    print(f"{folder}: format, card and pixels are right ({sizes}, all finite).")
    try:
        backbone = load(card.backbone.name)
    except InputError as error:
        print(f"Its backbone '{card.backbone.name}' was not compared: {error}")
        return 0
    load_key(folder, backbone.fingerprint, backbone.name)
    print(f"It was tuned on the backbone '{backbone.name}' that is here.")
    return 0


def _remove(given: argparse.Namespace) -> int:
    from prompttune.zoo.store import remove_key

    print(f"removed {remove_key(given.name, given.prompts_zoo)}")
    return 0


def _gallery(given: argparse.Namespace) -> int:
    from prompttune.zoo.store import find_key, list_keys

    if given.data is not None and given.key is None:
        raise InputError("--data goes with --key NAME: a folder has the images of one task")
    if given.images < 0:
        raise InputError(f"--images {given.images}: must not be negative")
    if given.key is None:
        keys = [entry.folder for entry in list_keys(given.prompts_zoo)]
    else:
        keys = [find_key(given.key, given.prompts_zoo)]

    from prompttune.zoo.gallery import write_gallery

    problems = write_gallery(given.output, keys, given.images, given.data)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(keys) - len(problems)} of {len(keys)} keys: {given.output / 'index.html'}")
    return 1 if problems else 0


def _summary(card: "Card") -> list[str]:
    dice = card.own_dice()
    names = [entry.name for entry in card.classes]
    classes = ", ".join(names) if len(names) <= 3 else f"{len(names)}: {names[0]}, ..."
    return [card.task, classes, card.backbone.name, "-" if dice is None else f"{dice:.3f}"]


def _score_table(scores: "Scores") -> "Table":
    head, rows = scores.table()
    table = _new_table(*head)
    for row in rows:
        table.add_row(*map(_text, row))
    table.title = _text(f"{scores.data}, {scores.split}")
    table.caption = _text(scores.command)
    return table


def _new_table(*head: str) -> "Table":
    from rich.table import Table

    table = Table()
    for column in head:
        table.add_column(column, overflow="fold")
    return table


def _text(text: str) -> "Text":
    # Not a str: square brackets in a card are no markup.
    from rich.text import Text

    return Text(text)
