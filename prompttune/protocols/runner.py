"""Answer all cases of a benchmark, keep the outcomes, and write what they come to."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.report import draw_pictures, seen_in_training, write_report
from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError
from prompttune.utils.progress import Progress
from prompttune.utils.recording import Record, one_run

OUTCOMES = "outcomes.jsonl"


@dataclass(frozen=True)
class Run:
    """What is to be run."""

    protocol: Protocol
    data: Path
    output: Path
    options: Options
    limit: int | None = None
    """Only so many cases, the first."""
    command: str = ""


def run_benchmark(run: Run, segmenter: Segmenter) -> dict[str, Any]:
    """Run a benchmark, or go on with it, and leave results, table, and pictures.

    Args:
        run: what is to be run.
        segmenter: with any backbone that fits the keys.

    Returns:
        What `results.json` holds.

    Raises:
        InputError: options that the protocol does not have, a set that is not whole, a folder that
            holds another run or in which one is at work, or a key of another backbone.
    """
    check_options(run.protocol, run.options)
    for prompt in run.options.prompts:
        segmenter.check(prompt)
    benchmark = run.protocol.open(run.data, segmenter, run.options)
    cases = list(benchmark.cases)[: run.limit]
    if not cases:
        raise InputError(f"{run.data}: has nothing to answer; copy the set again")
    with (
        one_run(run.output),
        closing(Record(run.output / OUTCOMES, _setting(run, segmenter))) as record,
    ):
        return _recorded(run, segmenter, benchmark, cases, record)


def _recorded(
    run: Run, segmenter: Segmenter, benchmark: Benchmark, cases: Sequence[str], record: Record
) -> dict[str, Any]:
    started, before = time.perf_counter(), len(record.results)
    _answer(benchmark, cases, record, run.output)
    seconds, new = time.perf_counter() - started, len(record.results) - before
    outcomes = {case: record.results[case] for case in cases}
    scores = benchmark.summary(outcomes)
    handed = benchmark.hand_in(run.output)
    content = {
        "benchmark": run.protocol.name,
        "title": run.protocol.title,
        "how": run.protocol.how,
        "command": run.command,
        "backbone": segmenter.network.name,
        "seen in training": seen_in_training(run.protocol.name, segmenter.network, cases),
        "setting": _setting(run, segmenter),
        "unit": benchmark.unit,
        "cases": len(cases),
        "of": len(benchmark.cases),
        "scores": scores,
        "main": benchmark.main,
        "seconds a case": round(seconds / new, 4) if new else None,
        "submission": handed.name if handed else None,
        "pictures": draw_pictures(benchmark, outcomes, run.output),
    }
    write_report(run.output, content)
    return content


def check_options(protocol: Protocol, options: Options) -> None:
    """Refuse what a protocol does not have.

    Raises:
        InputError: a fold, a number of shots, or a key that it does not take, or no key; a number
            of earlier frames that nothing takes.
    """
    name = protocol.name
    check("frames", options.memory, "--memory_frames")
    if not 0 <= options.fold < protocol.folds:
        last = protocol.folds - 1
        raise InputError(f"{name}: has folds 0 to {last}" if last else f"{name}: has one fold, 0")
    if protocol.shots == "one" and options.shots != 1:
        raise InputError(f"{name}: is answered by what it gives itself; leave --shots out")
    if options.prompts and protocol.takes_key == "no":
        raise InputError(f"{name}: is answered by its own examples; leave --prompt out")
    if not options.prompts and protocol.takes_key == "must":
        raise InputError(f"{name}: needs a tuned key; name it with --prompt")


def _answer(benchmark: Benchmark, cases: Sequence[str], record: Record, output: Path) -> None:
    missing = benchmark.order([case for case in cases if case not in record.results])
    done = len(cases) - len(missing)
    started = time.monotonic()
    with Progress("Answering", len(cases), benchmark.unit, done=done) as progress:
        for start in range(0, len(missing), benchmark.batch):
            batch = missing[start : start + benchmark.batch]
            for case, outcome in zip(batch, benchmark.run(batch, output), strict=True):
                record.add(case, outcome)
                done += 1
            answered = start + len(batch)
            rate = (time.monotonic() - started) / answered
            left = f"{duration(rate * (len(missing) - answered))} left"
            progress.show(done, left, now=start == 0)  # at once how long it will take


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _setting(run: Run, segmenter: Segmenter) -> dict[str, Any]:
    options = run.options
    prompts = [part for prompt in run.options.prompts for part in prompt.parts]
    return {
        "benchmark": run.protocol.name,
        "data": run.data.resolve().name,
        "fingerprint": segmenter.network.fingerprint,
        "precision": "bf16" if segmenter.bf16 else "fp32",
        "shots": options.shots,
        "fold": options.fold,
        "ensemble": options.ensemble,
        "memory": options.memory,
        "seed": options.seed,
        "prompts": [f"{part.name} {_digest(part)}" for part in prompts],
    }


def _digest(prompt: Prompt) -> str:
    """Return what tells a prompt from another of its name: a key may have been tuned anew."""
    digest = hashlib.sha256(repr((prompt.palette, prompt.scale, prompt.threshold)).encode())
    for half in (*prompt.images, *prompt.colors):
        digest.update(half.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
