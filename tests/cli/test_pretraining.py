"""The command packs a pool, and draws samples."""

from pathlib import Path

import cv2
from pools import pool as pool

from prompttune.cli.pretraining import main


def test_commands_pack_and_draw(pool: Path, tmp_path: Path, capsys) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "backbone: {canvas: 16, patch: 8, dim: 16, depth: 2, heads: 2, merge_index: 0, "
        "out_indices: [0, 1], decoder_dim: 4, pretrain_canvas: 16}\n"
        "sets: [{name: set, ignore: [11]}]\n"
    )
    common = ["--recipe", str(recipe), "--data"]
    file, sheet = tmp_path / "pool.zip", tmp_path / "sheet.png"
    main(["pack", *common, str(pool), "--output", str(file)])
    assert "3 images" in capsys.readouterr().out
    main(["sheet", *common, str(file), "--output", str(sheet), "--count", "4"])
    drawn = cv2.imread(str(sheet))
    assert drawn.shape[0] == 2 * 16 * 8 + 4
    assert not list(tmp_path.glob(".*"))
    assert (drawn.shape[1] - 2 * 4) % 3 == 0
