"""`prompttune export`: one line and one file, or one line of what is wrong."""

from pathlib import Path

import pytest
from key_fixtures import make_key
from predicting import backbone as backbone

from prompttune.backbone import load
from prompttune.cli import export
from prompttune.cli.commandline import run
from prompttune.keys.key import save_key

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture
def zoo(backbone: Path, tmp_path: Path) -> Path:
    save_key(*make_key("cells", size=16, fingerprint=load(backbone).fingerprint), tmp_path / "zoo")
    return tmp_path / "zoo"


def test_a_key_becomes_a_file(backbone: Path, zoo: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "made" / "cells.onnx"
    line = ["cells", "--prompts_zoo", str(zoo), "--backbone", str(backbone), "--output", str(out)]
    assert export.main([*line, "--json"]) == 0
    said = capsys.readouterr().out
    assert "100.00% of the classes are the same" in said
    assert out.is_file()
    assert '"vessel"' in out.with_suffix(".json").read_text()
    _fails(line, "is there already", capsys)


def _fails(line: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(lambda: export.main(line), export.PROG)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_bad_input_is_one_line_and_no_file(backbone, zoo, tmp_path, capsys) -> None:
    out = tmp_path / "cells.onnx"
    line = ["cells", "--prompts_zoo", str(zoo), "--output", str(out)]
    own = ["--backbone", str(backbone)]
    _fails(line, "was tuned on backbone 'seggpt-small' (fingerprint", capsys)
    _fails([*line, *own, "--opset", "12"], "--opset 12: too old; give 18 to", capsys)
    _fails([*line, *own, "--key-input"], "not of the one-way layout", capsys)
    _fails(["cell", *line[1:], *own], "Did you mean 'cells'?", capsys)
    assert not out.exists()
    out.touch()
    line = ["cells", "--prompts_zoo", str(zoo), *own, "--overwrite", "--output"]
    _fails([*line, str(out / "x.onnx")], "cells.onnx: is a file, so --output", capsys)
    _fails([*line, str(tmp_path)], "is a folder; --output names a file", capsys)
