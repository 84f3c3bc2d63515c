"""Few-shot episodes a second: prompts and features shared, and a plain loop.

    python -m benchmarks.episodes                        # the embedded backbone
    python -m benchmarks.episodes --config vit-large --episodes 3 --images 3
    python -m benchmarks.episodes --config vit-large --episodes 3 --images 3 --precision bf16

Episodes of generated images in the way of PASCAL-5i: queries and examples of a class are drawn from
the same few images. The plain loop answers one after the other and keeps nothing: with the official
layout it is `transformers`' network, fed as its users do, and with the embedded backbone, which
`transformers` does not have, `Segmenter.predict` with each episode's own prompt. Weights of ViT-L
are random. The two take turns, and the ratio of their medians is what counts. One thread, so that
CPU time is what is measured, and other work on the machine matters little.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.work import CONFIGS
from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.one_way import OneWaySegGPT, build
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.answering import ONE_CLASS, Answering, Example, Question
from prompttune.protocols.episodes import Draw
from prompttune.utils.normalize import denormalize, normalize, to_tensor
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.utils.tiling import resize, resize_nearest, resize_scores

Episode = tuple[Example, tuple[Example, ...]]
Answer = Callable[[Sequence[Episode]], list[np.ndarray]]


def main() -> None:
    """Time both in turn, compare their answers, and print the table (Markdown)."""
    given = _arguments()
    torch.set_num_threads(1)
    segmenter, plain = _plain(given.config, given.precision)
    episodes = draw_episodes(given.images, given.episodes, given.shots)
    batch = given.batch

    def shared(episodes: Sequence[Episode]) -> list[np.ndarray]:
        answering = Answering(segmenter)
        found = []
        for start in range(0, len(episodes), batch):
            some = [_question(each) for each in episodes[start : start + batch]]
            found += answering.scores(some)
        return found

    seconds: dict[str, list[float]] = {"plain loop": [], "shared": []}
    for _ in range(given.rounds):
        answers = []
        for name, answer in (("plain loop", plain), ("shared", shared)):
            started = time.process_time()
            answers.append(answer(episodes))
            seconds[name].append((time.process_time() - started) / len(episodes))
    apart = max(float(np.abs(a - b).max()) for a, b in zip(*answers, strict=True))
    each = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{given.config or DEFAULT_BACKBONE}, {given.precision}: {len(episodes)} episodes of "
          f"{given.images} images, {given.shots} shot(s), {given.rounds} round(s)")  # fmt: skip
    print("| | episodes a second of CPU time | ratio |\n|---|---|---|")
    for name, value in each.items():
        print(f"| {name} | {1 / value:.3f} | {each['plain loop'] / value:.2f} |")
    print(f"The largest difference of a score is {apart:.1e}.")
    if isinstance(segmenter.network, OneWaySegGPT) and given.shots == 1:
        print(_counted(segmenter.network.config, episodes))


def _counted(config: SegGPTConfig, episodes: Sequence[Episode]) -> str:
    """Say what sharing can gain at most: operations do not depend on what else a machine does."""
    with torch.device("meta"):  # nothing is computed
        network, pixels = build(config), torch.zeros(1, 3, config.canvas, config.canvas)
    assert isinstance(network, OneWaySegGPT)
    parts = []
    for call in (
        lambda: network.encode_images(pixels),
        lambda: network.encode_seen(network.encode_images(pixels), pixels),
        lambda: network.ensemble(pixels, network.encode_prompt(pixels, pixels)),
    ):
        # The counter knows attention by its products alone, no kernel of one device.
        counter, plain_attention = FlopCounterMode(display=False), sdpa_kernel(SDPBackend.MATH)
        with counter, plain_attention, torch.no_grad():
            call()
        parts.append(counter.get_total_flops() / 1e9)
    image, prompt = parts[0], parts[1] - parts[0]
    query = parts[2] - parts[1] - image
    plain = 2 * image + prompt + query
    queries = {query.key for query, _ in episodes}
    examples = {one.key for _, examples in episodes for one in examples}
    shared = image * len(queries | examples) + prompt * len(examples)
    ratio = plain / (shared / len(episodes) + query)
    return (
        f"GFLOP: {image:.2f} an image, {prompt:.2f} a prompt's later blocks, {query:.2f} a query. "
        f"These episodes need {ratio:.2f} times fewer, any number of them {plain / query:.1f} at "
        "most."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.episodes", description=__doc__)
    add = parser.add_argument
    add("--config", choices=CONFIGS, help="the official layout with random weights")
    add("--episodes", type=int, default=48)
    add("--images", type=int, default=16, help="of the class (default: 16)")
    add("--shots", type=int, default=1)
    add("--batch", type=int, default=1, help="(default: 1, as on a CPU)")
    add("--rounds", type=int, default=3)
    add("--precision", choices=("fp32", "bf16"), default="fp32", help="of prompttune's answers")
    return parser.parse_args()


def draw_episodes(images: int, count: int, shots: int) -> list[Episode]:
    """Draw episodes of one class of generated images, 375 x 500."""
    random, draw = np.random.default_rng(0), Draw(0)
    pool = []
    for number in range(images):
        coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        image = np.kron(coarse, np.ones((63, 63, 1), np.uint8))[:375, :500]
        rows, columns = np.ogrid[:375, :500]
        y, x = random.integers(80, 290), random.integers(80, 420)
        pool.append(Example(number, image, (rows - y) ** 2 + (columns - x) ** 2 < 70**2))
    episodes = []
    for number in range(count):
        query = number % images
        others = draw.others(range(images), query, shots, "images")
        episodes.append((pool[query], tuple(pool[other] for other in others)))
    return episodes


def _question(episode: Episode) -> Question:
    query, examples = episode
    by_key = {each.key: each for each in examples}
    keys = tuple(each.key for each in examples)  # one may be drawn twice
    return Question(query.key, query.image, "circle", keys, by_key.__getitem__)


def _plain(config: str | None, precision: str) -> tuple[Segmenter, Answer]:
    if config is None:
        segmenter = Segmenter(DEFAULT_BACKBONE, precision=precision)
        return segmenter, lambda episodes: [_predicted(segmenter, each) for each in episodes]
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from seggpt_oracle import random_network, transformers_model

    network = random_network(CONFIGS[config])
    model, side = transformers_model(network), network.config.canvas

    @torch.inference_mode()
    def answer(episodes: Sequence[Episode]) -> list[np.ndarray]:
        found = []
        for query, examples in episodes:
            pixels = [normalize(resize(to_tensor(each.image), (side, side))) for each in examples]
            masks = [resize_nearest(torch.from_numpy(each.mask), (side, side)) for each in examples]
            one = normalize(resize(to_tensor(query.image), (side, side)))
            colors = model(
                pixel_values=torch.stack([one] * len(examples)),
                prompt_pixel_values=torch.stack(pixels),
                prompt_masks=normalize(ONE_CLASS.paint(torch.stack(masks).long())),
                feature_ensemble=len(examples) > 1,
                embedding_type="semantic",
            ).pred_masks[0, :, side:]
            scores = ONE_CLASS.scores(denormalize(colors))
            found.append(resize_scores(scores, query.mask.shape)[0].numpy())
        return found

    return Segmenter(network, precision=precision), answer


def _predicted(segmenter: Segmenter, episode: Episode) -> np.ndarray:
    query, examples = episode
    prompt = Prompt(
        images=tuple(to_tensor(each.image) for each in examples),
        colors=tuple(ONE_CLASS.paint(each.mask.astype(np.int64)) for each in examples),
        palette=ONE_CLASS,
    )
    return segmenter.predict(query.image, prompt).scores[0]


if __name__ == "__main__":
    main()
