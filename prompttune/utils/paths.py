"""What is shipped: the default backbone's name, and where recipes and keys lie."""

import os
import sys
from pathlib import Path

DEFAULT_BACKBONE = "seggpt-small"
"""The backbone of this package that everything uses unless another is named."""


def shipped_folder(name: str) -> Path:
    """Return the folder `recipes` or `prompts_zoo` that came with this installation.

    A wheel carries both inside the package (see pyproject.toml); a checkout has them beside it.
    """
    package = Path(__file__).parents[1]
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name


def user_folder() -> Path:
    """Return the folder for what users make: `$PROMPTTUNE_HOME`, or the platform's data folder."""
    if home := os.environ.get("PROMPTTUNE_HOME"):
        return Path(home).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "prompttune"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "prompttune"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "prompttune"
