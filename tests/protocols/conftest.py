import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from protocol_networks import OFFICIAL, ONE_WAY, random_network

from prompttune.inference.segmenter import Segmenter


@pytest.fixture(scope="session", params=[ONE_WAY, OFFICIAL], ids=["one-way", "official"])
def either(request: pytest.FixtureRequest) -> Segmenter:
    return Segmenter(random_network(request.param))


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return Segmenter(random_network(ONE_WAY))


@pytest.fixture(scope="session")
def expected() -> Callable[[str], dict[str, Any]]:
    folder = Path(__file__).parent / "expected"
    return lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
