"""The rooms of the house: arrows between packages run one way, and no files import in a circle."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "prompttune"
MAX_LINES = 400
# Of each room the rooms below it that it may import. A room that is missing here is a new one: give
# it a place. `prompttune/NAME.py` and `__main__.py` are doors, which only call the command line.
ROOMS = {
    "utils": "",
    "geo": "utils",
    "volumes": "utils",
    "backbone": "utils",
    "data": "geo utils volumes",
    "companion": "utils",
    "keys": "companion utils",
    "hub": "keys utils",
    "reliability": "",
    "synthetic": "data",
    "tasks": "data synthetic utils volumes",
    "prompts": "companion data hub keys reliability utils",
    "outputs": "data geo prompts utils volumes",
    "inference": "backbone data geo outputs prompts reliability utils volumes",
    "batch": "data inference outputs prompts utils",
    "video": "data inference outputs prompts utils",
    "evaluation": "backbone data inference keys prompts reliability synthetic tasks utils",
    "tuning": "backbone companion data evaluation prompts synthetic tasks utils",
    "baselines": "backbone data evaluation inference prompts tasks tuning utils",
    "zoo": "data evaluation hub inference keys prompts tasks utils",
    "pretraining": "backbone data synthetic utils",
    "export": "backbone companion inference prompts utils",
    "workflows": "backbone companion data evaluation inference keys prompts reliability"
    " tasks tuning utils",
    "protocols": "backbone data evaluation inference outputs prompts utils video",
    "serve": "backbone data geo inference keys outputs prompts utils zoo",
    "studio": "inference outputs prompts serve tuning utils workflows",
    "cli": "backbone baselines batch data evaluation export geo hub inference keys outputs"
    " pretraining prompts protocols serve studio tasks tuning utils video volumes workflows zoo",
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


def test_the_guide_names_every_room_once() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \| ", guide, re.MULTILINE)) == sorted(ROOMS)


def test_a_room_uses_what_it_may() -> None:
    known, used = modules(), {name: set() for name in ROOMS}
    for module, path in known.items():
        if own := room(module):
            used[own] |= {other.split(".")[1] for other in imports(path, known) if "." in other}
    unused = {name: set(below.split()) - used[name] for name, below in ROOMS.items()}
    assert not {name: rooms for name, rooms in unused.items() if rooms}


# What has no test file of its own name, and why.
UNTESTED = {
    "evaluation.panoptic": "beside panopticapi: tests/protocols/test_metrics.py",
    "cli.benchmark": "asked with miniature sets: tests/protocols/test_runner.py",
    "keys.learned": "protocols alone",
    "utils.constants": "a number",
    "studio.answering": "asked through the page's routes: tests/studio/test_app.py",
    "studio.wanted": "asked through the page's routes: tests/studio/test_app.py",
    "serve.work": "needs a server around it: tests/serve/test_app.py asks it",
    "batch.worker": "needs a cluster around it: tests/batch/test_ray_run.py",
    "cli.cluster": "needs a cluster around it: tests/batch/test_ray_run.py",
    "cli.prompt_options": "options of predict: tests/cli/test_predict.py",
    "cli.zoo_sharing": "subcommands of zoo: tests/hub/",
    "export.check": "a step of an export: tests/export/test_onnx_file.py",
    "export.graph": "a step of an export: tests/export/test_onnx_file.py",
    "hub.model_card": "a step of an upload: tests/hub/test_repository.py",
    "outputs.raster_files": "a step of inference.rasters: tests/inference/test_rasters.py",
    "volumes.opening": "what both formats share: tests/volumes/",
    "volumes.segmentation": "what DICOM is answered by: tests/volumes/test_dicom.py",
    "volumes.series": "files of one volume: tests/volumes/test_dicom.py",
    "volumes.volume": "what both formats share: tests/volumes/",
}


def test_every_module_has_a_test_file_of_its_name() -> None:
    missing = {
        module.removeprefix(f"{PACKAGE}.")
        for module, path in modules().items()
        if room(module)
        and room(module) != "protocols"  # by whole runs on miniature sets: tests/protocols/
        and path.name != "__init__.py"
        and not (
            ROOT / "tests" / path.relative_to(ROOT / PACKAGE).parent / f"test_{path.name}"
        ).is_file()
    }
    assert missing == set(UNTESTED)


def test_no_file_is_long() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_LINES}


def test_no_files_import_in_a_circle() -> None:
    known = modules()
    graph = {
        module: {other for other in imports(path, known) if other != module}
        for module, path in known.items()
        if path.name != "__init__.py" and room(module)  # faces only hand names on
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files
