"""Colors of classes: painting, scoring, deciding."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from prompttune.prompts.palette import Palette
from prompttune.utils.errors import InputError

THREE = Palette(("a", "b", "c"), ((255, 255, 255), (255, 0, 0), (0, 0, 255)))


def slow_scores(pixel: tuple[float, ...], palette: Palette) -> list[float]:
    """Score one pixel with scalars only."""
    points = [tuple(v / 255 for v in color) for color in ((0, 0, 0), *palette.colors)]
    gaps = [math.dist(a, b) ** 2 for a, b in combinations(points, 2)]
    weights = [math.exp(-(math.dist(pixel, point) ** 2) / (min(gaps) / 6)) for point in points]
    return [weight / sum(weights) for weight in weights[1:]]


def test_one_class_is_white() -> None:
    assert Palette.of(["vessel"]).colors == ((255, 255, 255),)


@pytest.mark.parametrize("count", [2, 5, 19, 254])
def test_chosen_colors_are_far_from_each_other_and_from_black(count: int) -> None:
    palette = Palette.of(map(str, range(count)))
    assert palette.colors == Palette.of(map(str, range(count))).colors
    points = [(0, 0, 0), *palette.colors]
    nearest = min(math.dist(a, b) for a, b in combinations(points, 2))
    # `count + 1` equal cubes fill the color cube: a good spread is not far below their side.
    assert nearest > 0.9 * 255 / (count + 1) ** (1 / 3)


def test_first_colors_do_not_depend_on_the_number_of_classes() -> None:
    few, many = Palette.of([*"abc"]), Palette.of([*"abcdefgh"])
    assert many.colors[:3] == few.colors


def test_chosen_colors_are_the_farthest_of_a_slow_search() -> None:
    grid = [
        (r, g, b) for r in range(0, 256, 17) for g in range(0, 256, 17) for b in range(0, 256, 17)
    ]
    chosen = [(0, 0, 0)]
    for color in Palette.of([*"abcd"]).colors:
        farthest = max(min(math.dist(point, c) for c in chosen) for point in grid)
        assert min(math.dist(color, c) for c in chosen) == pytest.approx(farthest)
        chosen.append(color)


@pytest.mark.parametrize("kind", ["uint8 array", "int32 array", "uint8 tensor", "int64 tensor"])
def test_paint(kind: str) -> None:
    dtype, holder = kind.split()
    values = np.array([[[0, 1, 2], [3, 255, 0]]], dtype)
    painted = THREE.paint(values if holder == "array" else torch.from_numpy(values))
    assert painted.shape == (1, 3, 2, 3)
    assert painted.dtype == torch.float32
    expected = [[(0, 0, 0), (1, 1, 1), (1, 0, 0)], [(0, 0, 1), (0, 0, 0), (0, 0, 0)]]
    torch.testing.assert_close(painted[0].permute(1, 2, 0), torch.tensor(expected).float())


@pytest.mark.parametrize("value", [4, 254, -1])
def test_paint_refuses_values_that_name_no_class(value: int) -> None:
    with pytest.raises(InputError, match=rf"values \[{value}\] name none of 3 classes"):
        THREE.paint(np.array([[0, value]]))


@pytest.mark.parametrize("palette", [Palette.of(["one"]), THREE, Palette.of([*"abcdefghij"])])
def test_scores_agree_with_scalars(palette: Palette) -> None:
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand(2, 3, 4, 5, generator=generator) * 1.4 - 0.2
    scores = palette.scores(colors)
    assert scores.shape == (2, len(palette.classes), 4, 5)
    for n, y, x in np.ndindex(2, 4, 5):
        expected = slow_scores(tuple(colors[n, :, y, x].double().tolist()), palette)
        assert scores[n, :, y, x].tolist() == pytest.approx(expected, abs=1e-4)


def test_one_class_is_decided_half_way_between_black_and_white() -> None:
    palette = Palette.of(["one"])
    gray = torch.tensor([0.0, 0.49, 0.5, 0.51, 1.0]).view(1, 5).expand(3, 1, 5)
    scores = palette.scores(gray)[0, 0]
    assert scores.diff().min() > 0
    assert scores[2].item() == pytest.approx(0.5)
    assert palette.decide(palette.scores(gray)).tolist() == [[0, 0, 0, 1, 1]]
    assert palette.decide(palette.scores(gray), threshold=0.99).tolist() == [[0, 0, 0, 0, 1]]


def test_scores_are_differentiable() -> None:
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand(3, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(THREE.scores, (colors,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_colors_are_scored_in_float32(dtype: torch.dtype) -> None:
    colors = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        scores = THREE.scores(colors)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, THREE.scores(colors.float()))


def test_far_colors_give_finite_scores() -> None:
    assert THREE.scores(torch.tensor([1e4, -1e4, 3e4]).view(3, 1, 1)).isfinite().all()


def test_painted_class_maps_are_decided_back() -> None:
    palette = Palette.of(map(str, range(254)))
    class_map = torch.arange(256).clamp_max(254).view(16, 16)
    assert palette.decide(palette.scores(palette.paint(class_map))).equal(class_map.byte())


def test_decide_sums_the_classes_and_takes_the_best() -> None:
    scores = torch.tensor([[0.3, 0.2, 0.0], [0.3, 0.1, 0.9], [0.0, 0.15, 0.1]]).view(3, 1, 3)
    decided = THREE.decide(scores)
    assert decided.dtype == torch.uint8
    assert decided.tolist() == [[1, 0, 2]]
    assert THREE.decide(scores[None].expand(2, -1, -1, -1), 0.4).tolist() == [[[1, 1, 2]]] * 2


@pytest.mark.parametrize(
    ("classes", "colors", "line"),
    [
        ((), (), "0 classes; give 1 to 254"),
        (map(str, range(255)), ((255, 255, 255),) * 255, "255 classes; give 1 to 254"),
        (("a", "a"), ((255, 0, 0), (0, 255, 0)), "names used twice: a"),
        (("a", " "), ((255, 0, 0), (0, 255, 0)), "every class needs a name"),
        ("vessel", ((255, 0, 0),), "list of names, not as the text 'vessel'"),
        (("a", "b"), ((255, 0, 0),), "2 classes and 1 colors"),
        (("a", "b"), ((255, 0, 0), (255, 0, 0)), "two classes share a color"),
        (("a",), ((20, 20, 10),), r"\(20, 20, 10\) cannot be told from the background's black"),
        (("a",), ((256, 0, 0),), "is no color"),
        (("a",), ((0.5, 0.5, 0.5),), "is no color"),
        (("a",), ((255, 0),), "is no color"),
    ],
)
def test_bad_palettes_are_refused(classes: tuple, colors: tuple, line: str) -> None:
    with pytest.raises(InputError, match=line):
        Palette(classes, colors)


@pytest.mark.parametrize("classes", [[], ["a", "a"], ["", "x"], "vessel"])
def test_bad_class_names_are_refused(classes: list[str] | str) -> None:
    with pytest.raises(InputError, match="palette: "):
        Palette.of(classes)


def test_colors_by_either_name() -> None:
    palette = Palette.of(["a", "b"])
    assert palette.colors == palette.colors
