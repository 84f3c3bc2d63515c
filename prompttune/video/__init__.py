"""Video object segmentation: a prompt, and the frames that were segmented last as its memory.

The public names are imported when they are first used, as in `prompttune`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prompttune.video.clips import Clip, open_clip
    from prompttune.video.frames import segment_frames
    from prompttune.video.run import segment_video

__all__ = ["Clip", "open_clip", "segment_frames", "segment_video"]

_HOMES = {
    "Clip": "prompttune.video.clips",
    "open_clip": "prompttune.video.clips",
    "segment_frames": "prompttune.video.frames",
    "segment_video": "prompttune.video.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'prompttune.video' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
