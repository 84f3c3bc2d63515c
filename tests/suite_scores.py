"""The content of a suite's scores."""

import pytest


def rows(**means: float | None) -> dict:
    named = {name.replace("_", "-"): {"mean": mean, "sd": 0.01} for name, mean in means.items()}
    return {"metric": "dice", "scale": 0.5, "rows": named}


@pytest.fixture
def content() -> dict:
    backbones = [
        {
            "name": name,
            "fingerprint": "f" * 64,
            "samples": samples,
            "sets": {"cracks": rows(one_shot=dice, feature=0.75)},
            "verdicts": ["Well done."],
        }
        for name, samples, dice in (("late", 100_000, 0.5), ("early", 1_000, 0.1))
    ]
    return {
        "backbones": backbones,
        "rows": ["one-shot", "feature"],
        "scoring": "Rules.",
        "command": "python -m prompttune.evaluate",
    }
