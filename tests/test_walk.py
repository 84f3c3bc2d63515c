"""The walk of a command: which files count, and which edges."""

import sys
from importlib import reload
from pathlib import Path

from benchmarks.walk import PACKAGE, Walk
from prompttune.inference import quality
from prompttune.outputs.paths import overlay_path


def walked(work: object) -> Walk:
    walk, before = Walk(), sys.getprofile()
    sys.setprofile(walk)
    try:
        work()  # type: ignore[operator]
    finally:
        sys.setprofile(before)
    return walk


def test_files_count_whose_functions_are_called() -> None:
    walk = walked(lambda: overlay_path(Path("a.png")))
    files = {file.removeprefix(PACKAGE): names for file, names in walk.functions.items()}
    assert files == {"outputs/paths.py": {"overlay_path"}, "utils/image_files.py": {"stem_of"}}
    assert walk.edges == {(f"{PACKAGE}outputs/paths.py", f"{PACKAGE}utils/image_files.py")}


def test_calls_through_a_library_are_edges() -> None:
    walk = walked(lambda: list(map(overlay_path, [Path("a.png"), Path("b.png")])))
    assert len(walk.edges) == 1


def test_what_runs_because_a_file_is_imported_does_not_count() -> None:
    assert walked(quality.Quality).functions
    assert not walked(lambda: reload(quality)).functions
