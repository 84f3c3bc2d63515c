""""""

import statistics

import numpy as np
import pytest
import torch
from benches import PIXELS, dice_of, make_bench, missed, scored

from prompttune.evaluation.comparison import (
    Bench,
    compare,
    count_predictions,
    draw_showing,
)
from prompttune.evaluation.rows import ROWS
from prompttune.evaluation.shared_threshold import at_threshold
from prompttune.inference.quality import BEST
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


def test_one_shot_is_mean_and_standard_deviation_over_five_examples(fakes):
    bench = make_bench(fakes, fakes.FakeSegmenter(missed))
    row = scored(bench, "one-shot")["one-shot"]
    numbers = [int(sample.name.split("-")[1]) for sample in bench.drawn[:5]]
    expected = [dice_of(number) for number in numbers]

    assert len(set(numbers)) == 5
    assert [trial.mean.dice for trial in row.trials] == pytest.approx(expected)
    assert row.mean.dice == pytest.approx(statistics.mean(expected))
    assert row.dice_sd == pytest.approx(statistics.stdev(expected))
    assert row.mean.iou == pytest.approx(statistics.mean(1 - number / PIXELS for number in numbers))
    assert row.prompts == 1


def test_the_best_example_is_chosen_by_validation_and_not_by_test(fakes):
    def turned_round(numbers, part):
        return numbers[0] if part == fakes.VALIDATION else 40 - numbers[0]

    bench = make_bench(fakes, fakes.FakeSegmenter(turned_round))
    rows = scored(bench, "one-shot", "one-shot-best")
    best = min(int(sample.name.split("-")[1]) for sample in bench.drawn[:5])

    assert rows["one-shot-best"].mean.dice == pytest.approx(dice_of(40 - best))
    assert rows["one-shot-best"].mean.dice == min(t.mean.dice for t in rows["one-shot"].trials)


def test_only_the_chosen_example_sees_test_images(fakes):
    segmenter = fakes.FakeSegmenter(missed)
    bench = make_bench(fakes, segmenter)
    scored(bench, "one-shot-best")
    parts = [part for _, part, _, _ in segmenter.calls]
    seen = {numbers for numbers, part, _, _ in segmenter.calls if part == fakes.TEST}

    assert parts == [fakes.VALIDATION] * 10 + [fakes.TEST] * 3
    assert seen == {(min(int(sample.name.split("-")[1]) for sample in bench.drawn[:5]),)}


@pytest.mark.parametrize(("high", "low"), [(0.2, 0.1), (0.02, 0.01), (0.95, 0.9)])
def test_every_candidate_gets_the_threshold_that_validation_likes(fakes, high, low):
    bench = make_bench(fakes, fakes.FakeSegmenter(lambda *_: 0, high, low))
    for row in scored(bench, "one-shot", "feature", "tuned").values():
        for trial in row.trials:
            assert low <= trial.validated.threshold < high
            assert trial.mean.dice == 1


def test_thresholds_come_from_validation_images_alone(fakes):
    class Brighter(fakes.FakeSegmenter):
        """On test images all scores lie above those of the validation images."""

        def predict(self, images, prompt, overlap=0.25, flips=False, zooms=(1.0,)):
            result = super().predict(images, prompt, overlap)
            result.scores += 0.5 * (images[0, 0, 2] == fakes.TEST)
            return result

    rows = scored(
        make_bench(fakes, Brighter(lambda *_: 0, 0.3, 0.2)), "one-shot", "feature", "tuned"
    )
    share = PIXELS / fakes.SIDE**2
    for row in rows.values():
        assert row.mean.dice == pytest.approx(2 * share / (1 + share))
        assert row.mean.auc == 1


def test_all_rows_together_predict_each_image_once_a_prompt_and_with_one_overlap(fakes):
    segmenter = fakes.FakeSegmenter(missed)
    bench = make_bench(fakes, segmenter)
    counted = []
    bench.on_image = lambda: counted.append(1)
    expected = count_predictions(bench, ROWS)
    scored(bench, *ROWS)

    assert len(segmenter.calls) == (5 + 1 + 1 + 1 + 1 + 1 + 1 + 1) * (2 + 3)
    # The grid of examples begins as the first example does, which is what a call remembers; the key
    # is asked five times: without and with flips, at its best, with all its tokens, and without a
    # companion, which here it has not got.
    assert len(set(segmenter.calls)) == (5 + 1 + 1 + 1) * (2 + 3)
    assert {overlap for *_, overlap in segmenter.calls} == {0.4, BEST.overlap}
    assert len(counted) == expected


@pytest.mark.parametrize("names", [["one-shot-best"], ["one-shot-best", "one-shot"], ["tuned"]])
def test_predictions_are_counted_for_some_rows(fakes, names):
    segmenter = fakes.FakeSegmenter(missed)
    bench = make_bench(fakes, segmenter)
    expected = count_predictions(bench, {name: ROWS[name] for name in names})
    scored(bench, *names)
    assert len(segmenter.calls) == expected


def test_examples_are_cut_at_the_scale_of_the_key(fakes):
    segmenter = fakes.FakeSegmenter(missed)
    scored(make_bench(fakes, segmenter), "one-shot", "feature", "tuned")
    for prompt in segmenter.prompts:
        assert prompt.scale == 1.0
        assert {image.shape for image in prompt.images} == {(3, fakes.CANVAS, fakes.CANVAS)} or (
            prompt.name == "key"
        )


def test_examples_are_drawn_by_seed_and_show_a_class(fakes):
    train = [fakes.make_sample(fakes.TRAIN, number, size=number % 2) for number in range(20)]
    names = []
    for seed in (0, 0, 1):
        bench = make_bench(fakes, fakes.FakeSegmenter(missed), train=train, seed=seed)
        names.append([sample.name for sample in bench.drawn])
    assert names[0] == names[1] != names[2]
    assert all(int(name.split("-")[1]) % 2 for name in names[0] + names[2])


def test_no_more_images_are_read_than_are_drawn_and_passed_over(fakes):
    class Counted(list):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return super().__getitem__(index)

    train = Counted(fakes.make_sample(fakes.TRAIN, number, size=4) for number in range(20))
    assert len(draw_showing(train, 0, 3)) == train.read == 3
    empty = Counted(fakes.make_sample(fakes.TRAIN, number, size=0) for number in range(5))
    assert draw_showing(empty, 0, 3) == []
    assert empty.read == 5


def test_fewer_training_images_than_asked_for_are_all_used(fakes):
    train = [fakes.make_sample(fakes.TRAIN, number) for number in (3, 4)]
    rows = scored(
        make_bench(fakes, fakes.FakeSegmenter(missed), train=train), "one-shot", "feature"
    )
    assert len(rows["one-shot"].trials) == 2
    assert rows["feature"].prompts == 2


def test_masks_without_any_class_cannot_be_examples(fakes):
    train = [fakes.make_sample(fakes.TRAIN, number, size=0) for number in range(3)]
    bench = make_bench(fakes, fakes.FakeSegmenter(missed), train=train)
    with pytest.raises(InputError, match="show no class"):
        scored(bench, "one-shot")


def test_class_maps_are_kept_as_decided(fakes):
    bench = make_bench(fakes, fakes.FakeSegmenter(missed))
    trial = scored(bench, "tuned")["tuned"].trials[0]
    expected = bench.test[1].class_map.copy()
    expected.ravel()[np.flatnonzero(expected)[:2]] = 0
    assert (trial.class_map(1, expected.shape) == expected).all()


def prompt_of(*classes: str) -> Prompt:
    pixels = (torch.zeros(3, 4, 4),)
    return Prompt(pixels, pixels, Palette.of(classes), scale=1.0, name="key")


def test_a_composition_is_compared_as_a_prompt_is(fakes) -> None:
    """Its first class is the fake segmenter's, with equal scores for the second."""
    key = Composition([prompt_of("vessel"), prompt_of("other")])
    samples = [[fakes.make_sample(part, n) for n in range(2)] for part in (50, 51, 52)]
    segmenter = fakes.FakeSegmenter(lambda *_: 0)
    segmenter_predict = segmenter.predict

    def predict(images, prompt, overlap, flips=False, zooms=(1.0,)):
        result = segmenter_predict(images, prompt if isinstance(prompt, Prompt) else key_alike)
        result.scores[1:] = 0.2  # below the first class where that is found
        return result

    key_alike = Prompt(key.parts[0].images, key.parts[0].colors, key.palette, name="key")
    segmenter.predict = predict
    bench = Bench(segmenter, key, fakes.CANVAS, *samples, examples=1)
    assert bench.scale == 1.0
    one_shot, tuned = compare(bench, {row: ROWS[row] for row in ("one-shot", "tuned")})
    assert tuned.prompts == 2
    (trial,) = tuned.trials
    decided = at_threshold(key, trial.validated.threshold)
    scores = predict(samples[2][0].image, key, 0.25).scores
    expected = decided.decide(torch.from_numpy(scores)).numpy()
    assert np.array_equal(trial.class_map(0, expected.shape), expected)
    assert tuned.mean.dice == one_shot.mean.dice == 1
