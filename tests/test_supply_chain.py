"""What is shipped is what was released, and all that it stands on may be used with Apache-2.0."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from licenses import GPU, PAGE, license_of, locked

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


@pytest.mark.parametrize("name", locked())
def test_a_dependency_may_be_used_with_apache_2(name: str) -> None:
    text = license_of(name)
    if name.startswith(GPU) or text is None:
        pytest.skip("of another system or Python, or a GPU's own libraries")
    assert COMPATIBLE.search(text), f"{name}: {text!r}"
    assert not COPYLEFT.search(text), f"{name}: {text!r}"


def test_the_page_lists_every_license() -> None:
    listed = dict(re.findall(r"^\| (\S+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M))
    assert [name for name in listed if name != "package"] == locked()
    assert all(listed.values())
    ours = {name: text for name in locked() if (text := license_of(name))}
    assert {name: listed[name] for name in ours} == ours, "if this is meant: make licenses"


ENTRY = re.compile(r"[a-z0-9-]+==\S+( ; [^\n]*)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n)?)+$")
LOCKS = ("requirements.lock", "requirements-test.lock")


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text.replace("_", "-").lower(), re.M))


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_has_exact_versions_and_hashes_and_names_no_index(file: str) -> None:
    text = (ROOT / file).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(
            r"[a-z0-9-]+==\S+( ; [^\n]*)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n)?)+$", entry
        )
    assert "://" not in text
    constraints = pins((ROOT / "constraints.txt").read_text())
    own = pins(text)
    assert {name: own[name] for name in own if name in constraints} == {
        name: version for name, version in constraints.items() if name in own
    }


def test_a_lock_has_all_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {LOCKS[0]: [], LOCKS[1]: [*extras["test"], *extras["wandb"], *extras["hub"]]}
    for file, more in asked.items():
        names = {
            re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-")
            for line in (*project["dependencies"], *more)
        }
        assert names <= set(pins((ROOT / file).read_text())), "make lock"
