"""What tests of long commands share: their lines, and that bad ones end well."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from prompttune.cli.commandline import run
from prompttune.utils import locking
from prompttune.utils.errors import InputError
from prompttune.utils.locking import held


def words_of(options: Mapping[str, object]) -> list[str]:
    """Return a command line; options that are None are left out."""
    given = {name: value for name, value in options.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name}", *str(value).split())]


def check_ends_in_one_line(
    main: Callable[[], Any], prog: str, output: Path, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Check that a command refuses its line with exit code 2, says why, and writes nothing."""
    with pytest.raises(SystemExit) as stopped:
        run(main, prog)
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"{prog}: error: ")
    assert said in error
    assert not output.exists()


def check_leaves_other_files(main: Callable[[], Any], output: Path) -> None:
    """Check that a command does not write into a folder with something else in it."""
    output.mkdir()
    (output / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        main()
    assert [path.name for path in output.iterdir()] == ["thesis.tex"]


def check_waits_for_no_other(
    main: Callable[[], Any], output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that a command refuses in one line a folder in which another run is at work."""
    monkeypatch.setattr(locking, "PATIENCE", 0)
    output.mkdir(parents=True)
    with held(output), pytest.raises(InputError, match="another run is writing here") as caught:
        main()
    assert str(caught.value).startswith(f"{output}: ")
    assert "\n" not in str(caught.value)
    assert not list(output.iterdir())


def help_of(module: str, heavy: set[str]) -> str:
    """Return what a module says to `--help`; check that it imports nothing heavy for it."""
    code = (
        f"import sys, runpy; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        f"print(sorted({heavy!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    return done.stdout
