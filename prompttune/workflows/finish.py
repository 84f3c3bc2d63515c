"""From a learned prompt to a key: threshold, scores, pictures, card."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from prompttune.backbone.compact import check_count
from prompttune.evaluation.comparison import Bench, compare, count_predictions
from prompttune.evaluation.report import Comparison, as_scores, staged, write_report
from prompttune.evaluation.rows import ROWS, own_name
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card, Data, Initialization, Scores, Tuning
from prompttune.keys.key import save_key
from prompttune.prompts.composition import Composition, changed
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.run import Tuned
from prompttune.utils.progress import Progress
from prompttune.workflows.calibrate import calibrated

KEY_DTYPE = torch.float16  # half the size
INIT_KINDS: dict[str, Literal["noise", "generated", "example"]] = {
    "noise": "noise", "kaiming": "noise",
    "generated": "generated", "best-generated": "generated",
    "example": "example", "best-example": "example", "mean": "example",
    "mosaic": "example",
}  # fmt: skip
"""What a card calls a start."""
COMPACTING = 6
"""Training images that choose the tokens of a compact key."""
EXAMPLES = 3
"""One-shot examples of the short table."""


@dataclass(frozen=True)
class Finished:
    """What a finished run leaves behind."""

    key: Path
    report: Path
    comparison: Comparison
    """One example beside the key, on a few images."""


def finish(
    tuned: Tuned,
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    name: str,
    zoo: Path,
    output: Path,
    command: str,
    overwrite: bool,
    images: int,
    tokens: int | None = None,
    notes: str | None = None,
) -> Finished:
    """Choose the threshold, score the prompt beside single examples, and write the key.

    Thresholds are chosen on validation images; the test images are only scored.

    Args:
        images: At most so many are scored, and half as many choose the thresholds: a minute on a
            laptop, not an hour.
        tokens: of the prompt that the later blocks see; None: all.
        notes: for the card.
    """
    prompt = _as_kept(changed(tuned.prompt, name=name))
    if tokens is not None:
        prompt = _compact(prompt, segmenter, data, tokens)
    bench = _bench(prompt, recipe, segmenter, data, images)
    prompt = _trusted(prompt, bench, tuned, recipe, data)
    bench.key = prompt
    names = [
        "one-shot",
        "tuned",
        *(["tuned-prompt"] if prompt.parts[0].companion is not None else []),
        *(["tuned-all-tokens"] if tokens is not None else []),
    ]
    rows = {row: ROWS[row] for row in names}
    with Progress("Scoring", count_predictions(bench, rows), "images") as progress:
        bench.on_image = progress.advance
        scored = compare(bench, rows)
    comparison = Comparison(
        task=recipe.task, backbone=segmenter.network.name, data=data.name,
        split="test" if data.test else "val", palette=prompt.palette, rows=scored,
        samples=bench.test, notices=_notices(data), details={"command": command},
    )  # fmt: skip
    card = _card(prompt, tuned, recipe, segmenter, data, (as_scores(comparison),), notes)
    report = output / "report"
    with staged(report) as stage:
        write_report(stage, comparison)
    key = save_key(prompt, card, zoo, overwrite=overwrite, dtype=KEY_DTYPE)
    return Finished(key, report, comparison)


def ready(
    tuned: Tuned,
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    name: str,
    images: int = 6,
    progress: bool = True,
    tokens: int | None = None,
) -> Prompt | Composition:
    """Return a learned prompt as a key would keep it, with threshold and card but without scores.

    Args:
        images: Half as many validation images choose the threshold, as in `finish`.
        progress: Show how far it is.
        tokens: As in `finish`.
    """
    prompt = _as_kept(changed(tuned.prompt, name=name))
    if tokens is not None:
        prompt = _compact(prompt, segmenter, data, tokens)
    bench = _bench(prompt, recipe, segmenter, data, images)
    count = len(bench.validation)
    with Progress("Choosing the threshold", count, "images", shown=progress) as shown:
        bench.on_image = shown.advance
        prompt = _trusted(prompt, bench, tuned, recipe, data)
    return changed(prompt, card=_card(prompt, tuned, recipe, segmenter, data, ()))


def check_tokens(count: int, recipe: Recipe, segmenter: Segmenter) -> None:
    """Refuse a number of tokens that no key could keep, before the time is spent.

    Raises:
        InputError: too few or too many, or a backbone that cannot leave any out.
    """
    config = segmenter.network.config
    side = max(recipe.min_canvas, config.canvas) // config.patch
    check_count(segmenter.network, count, recipe.prompts * side**2)


def _compact(
    prompt: Prompt | Composition, segmenter: Segmenter, data: TaskData, tokens: int
) -> Prompt | Composition:
    """Keep so many tokens of each prompt, those that training images look at most."""
    count = min(COMPACTING, len(data.train))
    images = [data.train[index].image for index in range(count)]
    parts = [segmenter.compact(part, images, tokens) for part in prompt.parts]
    return parts[0] if isinstance(prompt, Prompt) else Composition(parts)


def _trusted(
    prompt: Prompt | Composition, bench: Bench, tuned: Tuned, recipe: Recipe, data: TaskData
) -> Prompt | Composition:
    """Choose the threshold, and learn what the scores are worth, in the precision of the tuning."""
    threshold = bench.validate(bench.prompted(own_name(prompt), prompt)).threshold
    prompt = changed(prompt, threshold=threshold)
    segmenter = bench.segmenter
    assert isinstance(segmenter, Segmenter)
    quick = Segmenter(segmenter.network, precision=tuned.precision)
    return calibrated(prompt, quick, data, recipe.overlap, recipe.seed)


def _bench(
    prompt: Prompt | Composition,
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    images: int,
) -> Bench:
    return Bench(
        segmenter=segmenter,
        key=prompt,
        canvas=segmenter.canvas(prompt.parts[0]),
        train=data.train,
        validation=data.val[: max(1, images // 2)],
        test=(data.test or data.val)[:images],
        examples=EXAMPLES,
        overlap=recipe.overlap,
        seed=recipe.seed,
    )


def _as_kept(prompt: Prompt | Composition) -> Prompt | Composition:
    """Round as the key does: what is scored is what is kept."""
    parts = [
        replace(
            part,
            images=tuple(map(_rounded, part.images)),
            colors=tuple(map(_rounded, part.colors)),
            type_shift=None if part.type_shift is None else _rounded(part.type_shift),
        )
        for part in prompt.parts
    ]
    return parts[0] if isinstance(prompt, Prompt) else Composition(parts)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return values.to(KEY_DTYPE).float()


def _notices(data: TaskData) -> tuple[str, ...]:
    return (f"These are {data.name}, not real ones.",) if data.generated else ()


def _card(
    prompt: Prompt | Composition,
    tuned: Tuned,
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    scores: tuple[Scores, ...],
    notes: str | None = None,
) -> Card:
    kind = INIT_KINDS[recipe.init]
    shows_real = kind == "example" and not data.generated
    return Card.of(
        prompt,
        task=recipe.task,
        backbone=segmenter.network.name,
        patch=segmenter.network.config.patch,
        initialisation=Initialization(kind=kind, contains_real_image=shows_real),
        recipe=recipe.to_dict(),
        data=Data(layout=data.layout, train=len(data.train), val=len(data.val),
                  sha256=data.sha256(), generated=data.generated),
        scores=scores,
        notes=notes,
        tuning=Tuning(precision=tuned.precision, seconds=round(tuned.seconds, 1)),
    )  # fmt: skip
