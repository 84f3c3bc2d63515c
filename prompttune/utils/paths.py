"""What is shipped: the default backbone's name, and where recipes and keys lie."""

import os
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
    from platformdirs import user_data_path

    return user_data_path("prompttune", appauthor=False)
