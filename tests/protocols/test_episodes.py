"""Episodes as HSNet and INSID3 draw them: their code read the same miniature sets."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import miniatures
import numpy as np
import pytest
from protocol_networks import ONE_WAY, random_network

from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.answering import ONE_CLASS, Answering, Example, Question
from prompttune.protocols.episodes import Episodes, EpisodeSet
from prompttune.protocols.protocol import Options
from prompttune.protocols.registry import find_protocol
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_tensor

Expected = Callable[[str], dict[str, Any]]
SETS = {
    **dict.fromkeys(("pascal-5i", "coco-20i", "fss-1000"), "hsnet_episodes"),
    **dict.fromkeys(
        ("isaid-5i", "isic", "chest-xray", "suim", "lvis-92i", "pascal-part", "paco-part"),
        "insid3_episodes",
    ),
}


def opened(name: str, root: Path, options: Options) -> EpisodeSet:
    needs_fold = (root, options.fold) if name == "coco-20i" else (root,)
    getattr(miniatures, name.replace("-", "_"))(*needs_fold)
    return episodes(name, root, options)


def episodes(name: str, root: Path, options: Options) -> EpisodeSet:
    benchmark = find_protocol(name).open(root, _any_segmenter(), options)
    assert isinstance(benchmark, Episodes)
    return benchmark.given


@lru_cache
def _any_segmenter() -> Segmenter:
    return Segmenter(random_network(ONE_WAY))


def stem(ref: Any) -> str:
    """Return the name of a reference's image without folder and suffix."""
    name = ref if isinstance(ref, str) else next(x for x in ref if isinstance(x, str))
    return Path(name).stem.removesuffix("_mask")


@pytest.mark.parametrize("name", SETS)
def test_episodes_are_theirs(name: str, tmp_path: Path, expected: Expected) -> None:
    for key, theirs in expected(SETS[name])["episodes"][name].items():
        shots, fold = map(int, key.split())
        given = opened(name, tmp_path / key, Options(shots=shots, fold=fold))
        assert len(given.episodes) >= len(theirs) > 5
        for own, want in zip(given.episodes, theirs, strict=False):
            label, query, examples, area, areas, ignored = want
            assert (own.label, stem(own.query)) == (label, query)
            assert list(map(stem, own.examples)) == examples
            loaded = given.load(own.query, own.label)
            assert np.count_nonzero(loaded.mask) == area
            shown = [np.count_nonzero(given.load(x, own.label).mask) for x in own.examples]
            assert shown == areas
            assert (0 if loaded.ignored is None else np.count_nonzero(loaded.ignored)) == ignored
            assert own.label in given.classes


def test_names_are_unique(tmp_path: Path) -> None:
    for name in SETS:
        names = [each.name for each in opened(name, tmp_path / name, Options()).episodes]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize("ensemble", ["feature", "spatial"])
def test_answers_are_those_of_predict(either: Segmenter, shots: int, ensemble: str) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (20 + n, 24, 3), dtype=np.uint8) for n in range(4)]
    masks = [random.random((20 + n, 24)) < 0.4 for n in range(4)]
    keys = (1, 2, 1)[:shots]  # one may be drawn twice
    every = {n: Example(n, images[n], masks[n]) for n in keys}
    examples = [every[n] for n in keys]
    answering = Answering(either, ensemble)  # type: ignore[arg-type]
    questions = [Question(n, images[n], "one", keys, every.__getitem__) for n in (0, 3)]
    for _ in range(2):  # the second time all is known already
        for found, n in zip(answering.scores(questions), (0, 3), strict=True):
            prompt = Prompt(
                tuple(to_tensor(each.image) for each in examples),
                tuple(ONE_CLASS.paint(each.mask.astype(int)) for each in examples),
                ONE_CLASS, scale="auto", grid=ensemble == "spatial",
            ).at_scale(None, None)  # fmt: skip
            want = either.predict(images[n], prompt).scores[0]
            assert np.abs(found - want).max() < 1e-5


def test_what_was_seen_is_not_seen_again(tmp_path: Path, segmenter: Segmenter, monkeypatch) -> None:
    given = opened("pascal-5i", tmp_path, Options())
    benchmark = Episodes(segmenter, given, Options())
    seen = []
    encode = segmenter.network.encode_images
    monkeypatch.setattr(segmenter.network, "encode_images", lambda x: seen.append(1) or encode(x))
    cases = benchmark.order(benchmark.cases)[:100]
    outcomes = dict(zip(cases, benchmark.run(cases, tmp_path), strict=True))
    assert len(seen) <= 12, "the set has twelve images"
    assert set(benchmark.summary(outcomes)) == {"mIoU", "FB-IoU"}


def test_each_example_of_several_shots_is_read_and_encoded_once(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (20, 24, 3), dtype=np.uint8) for _ in range(5)]
    encoded, read = [], []
    encode = segmenter.network.encode_seen
    monkeypatch.setattr(
        segmenter.network, "encode_seen", lambda *given: encoded.append(1) or encode(*given)
    )

    def example(key: int) -> Example:
        read.append(key)
        return Example(key, images[key], images[key][..., 0] < 100)

    answering = Answering(segmenter)
    for query in range(5):
        others = tuple(key for key in range(5) if key != query)
        answering.scores([Question(query, images[query], "class", others, example)])
    assert sorted(read) == list(range(5))
    assert len(encoded) == 5
    answering.scores([Question(0, images[0], "another class", (1, 2), example)])
    assert len(encoded) == 7, "another class has masks of its own"


@pytest.mark.parametrize(
    ("name", "missing", "said"),
    [
        ("pascal-5i", "splits/val/fold0.txt", "lacks splits/val/fold0.txt; get PASCAL-5i from"),
        ("pascal-5i", "JPEGImages/2007_000003.jpg", "a file is missing, first JPEGImages"),
        ("coco-20i", "splits/val/fold0.pkl", "lacks splits/val/fold0.pkl; get COCO-20i from"),
        ("lvis-92i", "lvis_val.pkl", "lacks lvis_val.pkl"),
        ("fss-1000", "class_1/3.png", "a file is missing, first class_1/3.png"),
        ("suim", "images/d_r_2_.jpg", "a file is missing, first images/d_r_2_.jpg"),
        ("isic", "ISIC2018_Task1_Training_GroundTruth/ISIC_1000000_segmentation.png", "terms: "),
    ],
)
def test_what_is_missing_is_said(name: str, missing: str, said: str, tmp_path: Path) -> None:
    opened(name, tmp_path, Options())
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=said) as caught:
        episodes(name, tmp_path, Options())
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    given = opened("pascal-5i", tmp_path, Options())
    one = given.episodes[0]
    path = tmp_path / "SegmentationClassAug" / f"{one.query}.png"
    miniatures.save(path, np.zeros((5, 7), np.uint8), "P")
    with pytest.raises(InputError, match="mask of 7 x 5, but its image is 24 x 20"):
        given.load(one.query, one.label)


class Bad:
    def __reduce__(self) -> Any:
        return (Path("/tmp/touched-by-a-pickle").touch, ())


def test_a_list_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    opened("coco-20i", tmp_path, Options())
    miniatures.keep(tmp_path / "splits/val/fold0.pkl", {0: Bad()})
    with pytest.raises(InputError, match="no plain list"):
        episodes("coco-20i", tmp_path, Options())
    assert not Path("/tmp/touched-by-a-pickle").exists()
    miniatures.keep(tmp_path / "splits/val/fold0.pkl", {0: ["../../etc/x.jpg"]})
    with pytest.raises(InputError, match="no image of the set"):
        episodes("coco-20i", tmp_path, Options())
