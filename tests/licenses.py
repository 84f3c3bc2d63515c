"""The licenses of what a plain installation fetches: `python tests/licenses.py` writes the page.

The packages are those of `requirements.lock`; what they say of themselves is asked of this
environment (`make licenses`).
"""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licenses.md"
GPU = ("nvidia-", "cuda-")
ELSEWHERE = {"triton": "MIT"}
"""Packages that come with PyTorch for GPUs alone."""
HEAD = """# Licenses

What a plain installation fetches (`requirements.lock`), and the license that each package names.
prompttune itself is Apache-2.0, and its wheel holds none of them. `make sbom` lists what the extras
add; `make licenses` writes this page.

A package may bring libraries that it does not name. Those of `av` and of OpenCV bring FFmpeg
(LGPL); that of `av` also brings the encoders x264 and x265, which are GPL: who passes on an image
or an installer with it should know that. PyTorch's builds for GPUs bring NVIDIA's libraries, under
NVIDIA's terms.

| package | license |
|---|---|
"""


def locked() -> list[str]:
    """Return the names in the lock file."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line.split("==")[0] for line in lines if re.match(r"[a-z0-9-]+==", line)]


def license_of(name: str) -> str | None:
    """Say what a package says of its license; None where it is not installed."""
    if name.startswith(GPU):
        return "NVIDIA's terms; not in builds for CPUs"
    try:
        data = distribution(name).metadata
    except PackageNotFoundError:
        return None
    if expression := data.get("License-Expression"):
        return str(expression)
    classifiers = [each for each in data.get_all("Classifier") or () if each.startswith("License")]
    if named := [each.split(" :: ")[-1] for each in classifiers]:
        return ", ".join(named)
    return next(iter((data.get("License") or "").strip().splitlines()), "")


def page() -> str:
    """Return the page; of packages that are not installed here it keeps what it said."""
    known = re.findall(r"^\| (\S+) \| (.+) \|$", PAGE.read_text(), re.M) if PAGE.exists() else ()
    said = dict(known) | ELSEWHERE
    rows = ((name, license_of(name) or said.get(name, "")) for name in locked())
    return HEAD + "".join(f"| {name} | {text} |\n" for name, text in rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
