"""The command `python -m prompttune.zoo`."""

# ruff: noqa: F811

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from key_fixtures import forge, key, make, own, shipped  # noqa: F401 (fixtures)

from prompttune.cli.commandline import run
from prompttune.cli.zoo import main
from prompttune.keys.card import Scores
from prompttune.keys.header import load_card
from prompttune.keys.key import save_key, write_card
from prompttune.utils.errors import InputError

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stand in for loading a backbone: with a fingerprint, or not at hand."""

    def stand_in(fingerprint: str | None) -> None:
        def load(name: str) -> SimpleNamespace:
            if fingerprint is None:
                raise InputError(f"unknown backbone '{name}'")
            return SimpleNamespace(name=name, fingerprint=fingerprint)

        monkeypatch.setattr("prompttune.backbone.load", load)

    return stand_in


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command as a process would, and give its one line of error."""
    with pytest.raises(SystemExit) as caught:
        run(lambda: main(arguments), "prompttune.zoo")
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("prompttune.zoo: error: ")
    assert error.count("\n") == 1
    return error


def test_list(make: Make, key: Path, shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_key(*make("roads"), shipped)
    row = {"mode": "tuned", "dice": 0.7123, "iou": 0.5}
    fields = {"data": "drive", "split": "test", "command": "c", "rows": [row]}
    write_card(key, load_card(key).with_scores(Scores.model_validate(fields)))
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (retina,) = [line for line in lines if line.startswith("│ retina")]
    assert "vessel, disc" in retina
    assert "0.712" in retina
    assert "own" in retina
    (roads,) = [line for line in lines if "roads" in line]
    assert "shipped" in roads


def test_list_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "no keys in" in capsys.readouterr().out


def test_list_goes_on_after_a_damaged_key(
    make: Make, key: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_key(*make("cells"), own)
    (key / "prompt.safetensors").write_bytes(b"oops")
    assert main(["list"]) == 1
    output = capsys.readouterr()
    assert "cells" in output.out
    assert "cannot be read" in output.out
    assert str(key) in output.err


def test_show(make: Make, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"mode": "tuned", "dice": 0.75, "iou": 0.5}]
    fields = {"data": "[red]drive", "split": "test", "command": "python -m x", "rows": rows}
    save_key(*make(scores=[Scores.model_validate(fields)]), own)
    assert main(["show", "retina"]) == 0
    output = capsys.readouterr().out
    for part in ("seggpt-small", "vessel #ffffff", "0.750", "[red]drive", "python -m x", "noise"):
        assert part in output


def test_show_keeps_control_codes_from_the_terminal(
    forge: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.card["notes"] = "two\nlines \x1b[2J"
    forge.card["recipe"] = {"\x1b[2J": "\x1b[2J"}
    forge.card["later\x1b[2J"] = "x"
    forge.write()
    assert main(["show", "retina"]) == 0
    output = capsys.readouterr().out
    assert "\x1b[2J" not in output
    assert r"two\nlines \u001b[2J" in output


def test_show_by_folder(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(key)]) == 0
    assert "retina" in capsys.readouterr().out


def test_verify(key: Path, backbone: Any, capsys: pytest.CaptureFixture[str]) -> None:
    backbone("ab" * 32)
    assert main(["verify", "retina"]) == 0
    output = capsys.readouterr().out
    assert "2 x 3 x 16 x 16, all finite" in output
    assert "tuned on the backbone 'seggpt-small' that is here" in output


def test_verify_without_the_backbone(
    key: Path, backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone(None)
    assert main(["verify", "retina"]) == 0
    assert "was not compared: unknown backbone" in capsys.readouterr().out


def test_verify_with_another_backbone(
    key: Path, backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone("cd" * 32)
    assert "fingerprint abababababab" in fails(["verify", "retina"], capsys)


def test_verify_reads_the_pixels(forge: Any, capsys: pytest.CaptureFixture[str]) -> None:
    forge.body = b"\xff" * 8 + forge.body[8:]
    forge.write()
    assert main(["show", "retina"]) == 0
    assert "not finite" in fails(["verify", "retina"], capsys)


def test_remove(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["remove", "retina"]) == 0
    assert str(key) in capsys.readouterr().out
    assert not key.exists()


def test_gallery(make: Make, key: Path, tmp_path: Path, capsys: Any) -> None:
    cells = save_key(*make("cells"), key.parent)
    given = ["gallery", "--images", "0", "--output", str(tmp_path / "out")]
    assert main(given) == 0
    assert f"2 of 2 keys: {tmp_path / 'out' / 'index.html'}" in capsys.readouterr().out
    assert main([*given, "--key", "cells"]) == 0
    assert 'id="retina"' not in (tmp_path / "out" / "index.html").read_text()
    (cells / "prompt.safetensors").write_bytes(b"oops")
    assert main(given) == 1
    assert str(cells) in capsys.readouterr().err
    assert 'id="retina"' in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gallery", "--output", "out", "--key", "retnia"], "Did you mean 'retina'?"),
        (["gallery", "--output", "out", "--data", "eyes"], "--data goes with --key"),
        (["gallery", "--output", "out", "--images", "-1"], "must not be negative"),
        (["gallery"], "--output"),
        (["show", "retnia"], "Did you mean 'retina'?"),
        (["verify", "retnia"], "Did you mean 'retina'?"),
        (["remove", "retnia"], "Did you mean 'retina'?"),
        (["remove", "../retina"], "cannot be the name"),
        (["list", "--prompts_zoo", "nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_bad_input(
    key: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert text in fails(arguments, capsys)


def test_given_zoo(make: Make, key: Path, tmp_path: Path, capsys: Any) -> None:
    save_key(*make("cells"), tmp_path / "given")
    assert main(["list", "--prompts_zoo", str(tmp_path / "given")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("│")] == ["cells"]


def test_unknown_command() -> None:
    with pytest.raises(InputError, match="invalid choice: 'lisst'"):
        main(["lisst"])


def test_help_and_list_need_no_torch() -> None:
    """Torch alone takes more than the second that `--help` may take."""
    code = (
        "import sys; from prompttune.zoo.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pydantic', 'numpy', 'rich'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    for arguments, heavy in (["--help"], "[]"), (["list"], "['pydantic', 'rich']"):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stderr.strip() == heavy
