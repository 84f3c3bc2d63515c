"""The proof's page says what its runs measured, and makes each run once."""

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import proof


def result(rows: tuple[str, ...], dice: float) -> dict:
    """Return a comparison in which each row is a hundredth better than the last."""
    values = {
        name: {"mode": name, "dice": dice + place / 100, "dice_sd": None, "iou": 0.25}
        for place, name in enumerate(rows)
    }
    for row in values.values():
        row |= {"auc": None, "cldice": 0.125, "seconds_per_image": 1.5}
        row["trials"] = [{"images": {"a": {}, "b": {}}}]
    if "one-shot" in values:
        values["one-shot"]["dice_sd"] = 0.03
    learning = {"tuned": [[10.0, 0.2], [20.0, 0.4]], "unet": []}
    return {"rows": list(values.values()), "learning": learning, "train_images": 60,
            "validation_images": 4, "tuning_seconds": 61.2}  # fmt: skip


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace the comparisons by ones that are written at once; return their commands."""
    commands = []

    def write(line: list[str], check: bool) -> None:
        commands.append(line)
        words = line[line.index("--rows") + 1 :]
        rows = tuple(words[: words.index("--max_minutes")])
        folder = Path(line[line.index("--output") + 1])
        folder.mkdir(parents=True)
        dice = 0.5 if "--images" not in line else 0.3
        (folder / "comparison.json").write_text(json.dumps(result(rows, dice)))

    monkeypatch.setattr(proof.subprocess, "run", write)
    return commands


def test_every_run_is_made_once_and_is_on_the_page(ran: list[list[str]], tmp_path: Path) -> None:
    words = ["--data", "sets", "--runs", str(tmp_path / "runs"), "--output"]
    proof.main([*words, str(tmp_path / "proof.md"), "--only", "cracks-all", "cracks-5"])
    assert [Path(line[-1]).name for line in ran] == ["cracks-all", "cracks-5"]
    proof.main([*words, str(tmp_path / "proof.md")])
    names = [Path(line[-1]).name for line in ran]
    assert sorted(names) == sorted(run.name for run in proof.all_runs())
    assert len(names) == len(set(names)) == 23
    text = (tmp_path / "proof.md").read_text()
    assert "| one-shot | .500 ± .030 | .500 ± .030 | .500 ± .030 | .500 ± .030 | .500" in text
    assert "| tuned | **.520** |" in text
    assert "| images | 1 | 5 | 64 |" in text
    assert "| images | 1 | 5 | 20 | 64 |" in text
    assert "60 tuned and 4 chose; 2 test images; tuning took 61 s." in text
    assert text.count("```sh\npython -m prompttune.compare --task") == 23
    shown = {line.split("(")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")}
    assert {path.name for path in tmp_path.glob("*.png")} == shown
    for name in shown:
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (760, 420)


def test_a_run_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--only: no run cats-all"):
        proof.main(["--data", "x", "--output", str(tmp_path / "p.md"), "--only", "cats-all"])
