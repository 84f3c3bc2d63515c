"""Where what can be made again is kept, on a user's machine."""

import os
from pathlib import Path


def user_cache(kind: str) -> Path:
    """Return the folder of one kind of files in the user's cache; it may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "prompttune" / kind
