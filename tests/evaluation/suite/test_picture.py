import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.evaluation.page import FALSE, HIT, MISSED
from prompttune.evaluation.suite import picture as suite_picture
from prompttune.evaluation.suite.generated import MAX_SHARE, MIN_SHARE, generated_problems
from prompttune.evaluation.suite.problems import Part, Problem
from prompttune.evaluation.suite.trials import Setting
from prompttune.inference.segmenter import Segmenter
from prompttune.synthetic.fundus import generate_fundus

CANVAS = 16
CONFIG = SegGPTConfig(
    canvas=CANVAS, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(1, 2),
    decoder_dim=8, pretrain_canvas=CANVAS,
)  # fmt: skip


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(SegGPT(CONFIG), device="cpu")


@pytest.fixture
def setting() -> Setting:
    return Setting("", "", "small", "", CANVAS, Part(), 0.0, 1, 0, "cpu", "fp32")


def test_generated_problems_are_six_different_ones_that_show_their_class():
    problems = generated_problems(32)
    assert len(problems) == 6
    assert list(problems)[-1] == "generated fundus"
    for problem in list(problems.values())[:-1]:
        samples = [*problem.train, *problem.validation, *problem.test]
        assert {sample.image.shape for sample in samples} == {(32, 32, 3)}
        assert all(MIN_SHARE < sample.class_map.mean() < MAX_SHARE for sample in samples)
        assert len({sample.image.tobytes() for sample in samples}) == 4
    again = generated_problems(32)
    for one, other in zip(problems.values(), again.values(), strict=True):
        assert (one.test[0].image == other.test[0].image).all()


def test_a_row_shows_example_mask_query_and_the_errors_of_the_answer(
    segmenter, setting, tmp_path, monkeypatch
):
    eyes = [generate_fundus(seed, 64) for seed in range(3)]
    problem = Problem("vessel", "dice", 0.5, eyes[:1], eyes[1:2], eyes[2:])
    monkeypatch.setattr(suite_picture, "present_sets", lambda *_: ["eyes"])
    monkeypatch.setattr(suite_picture, "read_problems", lambda *_: [problem])
    panels = []
    sheet = suite_picture._sheet
    monkeypatch.setattr(
        suite_picture, "_sheet", lambda rows: (panels.extend(rows[0][1]), sheet(rows))[1]
    )
    path = tmp_path / "picture.png"
    assert suite_picture.draw_suite(path, segmenter, setting, tmp_path, None) == "eyes"

    example, mask, query, answer = panels
    assert example.shape == mask.shape == (CANVAS, CANVAS, 3)
    assert set(np.unique(mask)) == {0, 255}
    assert (query == eyes[2].image).all()
    truth = (eyes[2].class_map == 1) & eyes[2].field_of_view
    told = (answer == HIT).all(-1) | (answer == MISSED).all(-1)
    assert (told == truth).all()  # white and orange are the truth, blue is none of it
    assert not ((answer == FALSE).all(-1) & truth).any()
    with Image.open(path) as drawn:
        assert drawn.size == (4 * 208 + 8, 228 + 2 * 28 + 8)
