"""Pictures of a run: the cases that went worst, and those in the middle."""

from pathlib import Path
from typing import Any

from prompttune.evaluation.page import color_answer, save_picture
from prompttune.protocols.protocol import Benchmark, Outcomes

PICTURES, EACH = "pictures", 3


def draw_pictures(benchmark: Benchmark, outcomes: Outcomes, output: Path) -> list[dict[str, Any]]:
    """Draw the worst and the median cases.

    Args:
        benchmark: answers them again where need be.
        outcomes: of all cases.
        output: folder of the run.

    Returns:
        `file`, `case`, `value` and `place` (worst or median) of each picture.
    """
    valued = [(one["value"], case) for case, one in outcomes.items() if one["value"] is not None]
    ranked = sorted(valued)
    middle = max(0, len(ranked) // 2 - EACH // 2)
    chosen = {
        **{case: "median" for _, case in ranked[middle : middle + EACH]},
        **{case: "worst" for _, case in ranked[:EACH]},
    }
    folder, drawn = output / PICTURES, []
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.png"):
        path.unlink()
    for number, (value, case) in enumerate(item for item in ranked if item[1] in chosen):
        file = f"{number:02}-{chosen[case]}.png"
        panels = benchmark.panels(case, output)
        rest = None, panels.palette
        truth = color_answer(panels.truth, panels.truth, *rest)
        answer = color_answer(panels.answer, panels.truth, *rest)
        pictures = [(case, panels.image), ("truth", truth), (f"answer, {value:.3f}", answer)]
        save_picture(folder / file, pictures)
        place = chosen[case]
        drawn.append({"file": f"{PICTURES}/{file}", "case": case, "value": value, "place": place})
    return drawn
