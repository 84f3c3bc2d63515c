"""The rooms of the house: arrows between packages run one way, and no files import in a circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "prompttune"
# Of each room the rooms below it that it may import. A room that is missing here is a new one: give
# it a place. `prompttune/NAME.py` and `__main__.py` are doors, which only call the command line.
ROOMS = {
    "utils": "",
    "backbone": "utils",
    "data": "utils",
    "keys": "utils",
    "reliability": "",
    "synthetic": "data",
    "tasks": "data synthetic utils",
    "prompts": "data keys reliability utils",
    "outputs": "prompts utils",
    "inference": "backbone data outputs prompts reliability utils",
    "video": "data inference outputs prompts utils",
    "evaluation": "backbone data inference keys prompts reliability synthetic tasks utils",
    "tuning": "backbone data evaluation outputs prompts synthetic tasks utils",
    "baselines": "backbone data evaluation inference tasks tuning utils",
    "zoo": "data evaluation inference keys prompts tasks utils",
    "pretraining": "backbone data synthetic utils",
    "workflows": "backbone data evaluation inference keys outputs prompts reliability tasks tuning"
    " utils",
    "protocols": "backbone data evaluation inference outputs prompts utils video",
    "serve": "backbone data inference keys outputs prompts utils zoo",
    "studio": "outputs prompts serve tuning utils workflows",
    "cli": "backbone baselines data evaluation inference keys outputs pretraining prompts"
    " protocols serve studio tasks tuning utils video workflows zoo",
}


def modules() -> dict[str, Path]:
    """Return the files of the package by their dotted names."""
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Find the package's modules that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for each in node.names:
                full = f"{node.module}.{each.name}"
                if full in known:
                    yield full
                elif node.module in known:
                    yield node.module


def room(module: str) -> str | None:
    """Return the room of a module; None for doors and for the package's own names."""
    parts = module.split(".")
    return None if len(parts) == 1 or parts[-1] == "__main__" or len(parts) == 2 else parts[1]


def test_arrows_run_one_way() -> None:
    known = modules()
    assert {part for part in map(room, known) if part} == set(ROOMS)
    wrong = {
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imports(path, known)
        if (own := room(module)) and (above := other.split(".")[1:2])
        if above[0] != own and above[0] not in ROOMS[own].split()
    }
    assert not wrong


def test_rooms_stand_on_one_another() -> None:
    TopologicalSorter({name: below.split() for name, below in ROOMS.items()}).prepare()


def test_a_room_uses_what_it_may() -> None:
    known, used = modules(), {name: set() for name in ROOMS}
    for module, path in known.items():
        if own := room(module):
            used[own] |= {other.split(".")[1] for other in imports(path, known) if "." in other}
    unused = {name: set(below.split()) - used[name] for name, below in ROOMS.items()}
    assert not {name: rooms for name, rooms in unused.items() if rooms}


def test_no_files_import_in_a_circle() -> None:
    known = modules()
    graph = {
        module: {other for other in imports(path, known) if other != module}
        for module, path in known.items()
        if path.name != "__init__.py" and room(module)  # faces only hand names on
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files
