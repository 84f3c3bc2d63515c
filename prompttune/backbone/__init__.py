"""The SegGPT network and its weights.

Names are imported when they are first used, so that a `--help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prompttune.backbone.config import SegGPTConfig
    from prompttune.backbone.loading import SHIPPED, at_canvas, load
    from prompttune.backbone.network import SegGPT

__all__ = ["SHIPPED", "SegGPT", "SegGPTConfig", "at_canvas", "load"]

_HOMES = {
    "SHIPPED": "loading",
    "SegGPT": "network",
    "SegGPTConfig": "config",
    "at_canvas": "loading",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'prompttune.backbone' has no attribute '{name}'")
    return getattr(import_module(f"prompttune.backbone.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
