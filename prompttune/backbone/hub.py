"""The official network on the Hugging Face Hub: fetched once, then found in its library's cache."""

import logging
from pathlib import Path

from prompttune.utils.errors import InputError

REPOSITORY = "BAAI/seggpt-vit-large"
REVISION = "main"  # no commit was at hand to pin; should the files change, their fingerprint tells
FILES = ("config.json", "model.safetensors")

log = logging.getLogger(__name__)


def cached() -> Path | None:
    """Return the folder of the network where the cache has all of it; never asks the network."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = [try_to_load_from_cache(REPOSITORY, file, revision=REVISION) for file in FILES]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(FILES) else None


def download() -> Path:
    """Return the folder of the network, fetched (1.5 GB, resumable) where the cache lacks it.

    Raises:
        InputError: Neither in the cache nor to be had; says what to put where.
    """
    if folder := cached():
        return folder
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(
            f"{REPOSITORY}: fetching it needs huggingface_hub (pip install huggingface_hub); or "
            f"{_by_hand()}"
        ) from error
    log.info("fetching %s (1.5 GB)", REPOSITORY)
    try:
        snapshot_download(REPOSITORY, revision=REVISION, allow_patterns=list(FILES))
        if folder := cached():
            return folder
        raise FileNotFoundError("an incomplete download")  # what it returns when offline
    except Exception as error:  # its own errors, and those of the HTTP library below it
        raise InputError(
            f"{REPOSITORY}: not in the cache, and the Hub could not be asked "
            f"({type(error).__name__}); {_by_hand()}"
        ) from error


def _by_hand() -> str:
    return (
        f"put {' and '.join(FILES)} from https://huggingface.co/{REPOSITORY} (or the authors' "
        "seggpt_vit_large.pth) in a folder of yours and give its path instead of the name"
    )
