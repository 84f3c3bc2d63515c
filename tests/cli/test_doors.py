"""The commands as they were called first: each module runs what the console command runs."""

import runpy
import sys
from importlib import import_module

import pytest

from prompttune.cli import main as cli

DOORS = {
    "prompttune.fit": "tune",
    "prompttune.predict": "predict",
    "prompttune.inspect": "inspect",
    "prompttune.compare": "compare",
    "prompttune.evaluate": "evaluate",
    "prompttune.pretrain": "pretrain",
    "prompttune.zoo.__main__": "zoo",
    "prompttune.backbone.__main__": "backbone",
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_leads_to_its_command(door: str) -> None:
    command = import_module(cli.COMMANDS[DOORS[door]][0])
    assert import_module(door).main is command.main


@pytest.mark.parametrize("door", [*DOORS, "prompttune.pretraining.__main__"])
def test_a_door_opens(
    door: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [door, "--no-such-option"])
    monkeypatch.delitem(sys.modules, door, raising=False)  # else runpy warns
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(door, run_name="__main__")
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{door.removesuffix('.__main__')}: error: ")
    assert len(error.splitlines()) == 1
