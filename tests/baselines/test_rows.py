"""Rows that are trained or read: what they ask for, and what they refuse."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.baselines.rows import LinearProbe, Rivals, observed_scores, second_masks
from prompttune.cli.compare import OTHER_ROWS
from prompttune.data.layouts import Sample
from prompttune.tasks.data import SampleFolder, TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import normalize


@pytest.fixture
def folder(tmp_path: Path) -> SampleFolder:
    samples = []
    for number in range(2):
        for part in ("images", "masks", *(["masks_2nd"] if number == 0 else [])):
            path = tmp_path / part / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            mask = np.zeros((8, 8), np.uint8)
            mask[: 4 + number] = 255
            Image.fromarray(mask).save(path)
        paths = [tmp_path / part / f"{number}.png" for part in ("images", "masks")]
        samples.append(Sample(str(number), *paths))
    return SampleFolder(samples, Recipe("custom"), tmp_path)


def rivals(data: SampleFolder, tmp_path: Path) -> Rivals:
    found = TaskData(data, data, data, "set", "folders", generated=False)
    return Rivals(None, Recipe("custom"), found, None, 1.0, 2.0, tmp_path)  # type: ignore[arg-type]


def test_the_command_names_all_of_them(folder: SampleFolder, tmp_path: Path) -> None:
    assert set(rivals(folder, tmp_path).rows()) <= set(OTHER_ROWS)


def test_a_second_human_is_scored_where_there_are_masks(
    folder: SampleFolder, tmp_path: Path
) -> None:
    bench = SimpleNamespace(test=folder, classes=("foreground",))
    (candidate,) = rivals(folder, tmp_path).observer(bench)  # type: ignore[arg-type]
    image = np.zeros((8, 8, 3), np.uint8)
    scores = candidate.scores("0", image)
    assert scores is not None
    assert scores[0, :4].all()
    assert not scores[0, 4:].any()
    assert candidate.scores("1", image) is None


def test_without_such_masks_the_row_is_refused(folder: SampleFolder, tmp_path: Path) -> None:
    bench = SimpleNamespace(test=[*folder], classes=("foreground",))
    with pytest.raises(InputError, match="no masks_2nd/"):
        rivals(folder, tmp_path).observer(bench)  # type: ignore[arg-type]


def test_second_masks_are_found_by_stem(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert second_masks(tmp_path / "images") == {}
    (tmp_path / "masks_2nd").mkdir()
    mask = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    palette = Image.fromarray(mask)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "masks_2nd" / "05.png")
    (tmp_path / "masks_2nd" / "notes.txt").write_text("no mask")
    found = second_masks(tmp_path / "images")
    assert set(found) == {"05"}
    np.testing.assert_array_equal(observed_scores(found["05"], 1, (2, 3)), mask[None])
    with pytest.raises(InputError, match="3 x 2, its image 5 x 4"):
        observed_scores(found["05"], 1, (4, 5))


CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=12, depth=3, heads=2, merge_index=0, out_indices=(0, 1, 2),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


def network() -> SegGPT:
    torch.manual_seed(0)
    made = SegGPT(CONFIG).eval().requires_grad_(False)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_each_pixel_gets_its_patch_and_place_in_it() -> None:
    backbone = network()
    probe = LinearProbe(backbone, classes=2)
    queries = torch.randn(2, 3, 16, 16)
    logits = probe(queries)
    assert logits.shape == (2, 3, 16, 16)
    caught = []
    handle = backbone.decoder_embed.register_forward_pre_hook(lambda _, x: caught.append(x[0]))
    zeros = torch.zeros(1, 3, 16, 16)
    backbone.ensemble(queries, zeros, normalize(zeros))
    handle.remove()
    features = caught[0][:, -16:]  # the query's 4 x 4 patches
    weight = probe.head.weight.view(4, 4, 3, -1)
    bias = probe.head.bias.view(4, 4, 3)
    for row, column, y, x in ((0, 0, 0, 0), (1, 2, 3, 1), (3, 3, 2, 3), (0, 3, 1, 0)):
        expected = features[:, row * 4 + column] @ weight[y, x].T + bias[y, x]
        torch.testing.assert_close(logits[:, :, row * 4 + y, column * 4 + x], expected)


def test_a_one_way_backbone_shows_early_blocks_as_well() -> None:
    torch.manual_seed(0)
    config = SegGPTConfig(
        canvas=16, patch=4, dim=16, depth=3, heads=2, one_way=True, apart=2, match_indices=(0, 1),
        out_indices=(2,), image_indices=(0,), pixel_dim=4, decoder_dim=4, pretrain_canvas=16,
    )  # fmt: skip
    probe = LinearProbe(build(config).eval().requires_grad_(False), classes=2)
    assert probe.head.in_features == 2 * 16
    assert probe(torch.randn(2, 3, 16, 16)).shape == (2, 3, 16, 16)


def test_only_the_head_is_trained_and_kept() -> None:
    probe = LinearProbe(network(), classes=1)
    assert set(probe.state_dict()) == {"head.weight", "head.bias"}
    probe(torch.randn(1, 3, 16, 16)).sum().backward()
    assert probe.head.weight.grad is not None
    assert not probe._frozen[0].decoder_embed._forward_pre_hooks
