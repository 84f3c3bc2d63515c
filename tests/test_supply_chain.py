"""What is shipped is what was released, and all that it stands on may be used with Apache-2.0."""

import hashlib
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUMS = ROOT / "prompttune" / "SHA256SUMS"
COMPATIBLE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla Public|Zlib|HPND|0BSD|"
    r"CC0|Unlicense|MIT-CMU|PostgreSQL|FreeType)\b",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"(?<!L)\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)


def shipped() -> list[Path]:
    """List the weights and keys that come with the package."""
    return sorted(
        [
            *(ROOT / "prompttune").rglob("*.safetensors"),
            *(ROOT / "prompts_zoo").rglob("*.safetensors"),
        ]
    )


def test_weights_and_keys_are_those_that_were_released() -> None:
    lines = [line.split("  ", 1) for line in SUMS.read_text().splitlines()]
    found = [
        [hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(ROOT).as_posix()]
        for path in shipped()
    ]
    assert found
    assert lines == found, "if this is meant: sha256sum prompttune/*/*.safetensors prompts_zoo/*/*"


def needed() -> list[str]:
    """List the packages of a plain installation, with all that they need, as they are here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting, seen = list(project["dependencies"]), set()
    while waiting:
        text = waiting.pop()
        if "extra ==" in text:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", text.strip())[0].lower().replace("_", "-")
        if name in seen:
            continue
        try:
            waiting += distribution(name).requires or []
        except PackageNotFoundError:  # of another system, or of another Python
            continue
        seen.add(name)
    return sorted(seen)


def license_of(name: str) -> str:
    """Say what a package says of its license, in the fields that there are for it."""
    data = distribution(name).metadata
    classifiers = [each for each in data.get_all("Classifier") or () if each.startswith("License")]
    expression = data.get("License-Expression")
    if expression:
        return expression
    return " ".join([*classifiers, (data.get("License") or "")[:200]])


@pytest.mark.parametrize("name", needed())
def test_a_dependency_may_be_used_with_apache_2(name: str) -> None:
    text = license_of(name)
    if name.startswith(("nvidia-", "cuda-", "triton")):
        pytest.skip("the GPU's own libraries, which the index adds to torch")
    assert COMPATIBLE.search(text), f"{name}: {text!r}"
    assert not COPYLEFT.search(text), f"{name}: {text!r}"
