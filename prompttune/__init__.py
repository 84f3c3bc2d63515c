"""In-context tuning for SegGPT: learn one prompt a segmentation task, keep the network frozen.

The public names are imported when they are first used, so that `import prompttune` and a command's
`--help` cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prompttune.composition import Composition
    from prompttune.errors import InputError
    from prompttune.palette import Palette
    from prompttune.prompt import Prompt
    from prompttune.result import Result
    from prompttune.segmenter import Segmenter
    from prompttune.workflow import tune
    from prompttune.zoo.store import load_prompt

__version__ = "0.1.0"
__all__ = [
    "Composition",
    "InputError",
    "Palette",
    "Prompt",
    "Result",
    "Segmenter",
    "__version__",
    "load_prompt",
    "tune",
]

_HOMES = {
    "Composition": "prompttune.composition",
    "InputError": "prompttune.errors",
    "Palette": "prompttune.palette",
    "Prompt": "prompttune.prompt",
    "Result": "prompttune.result",
    "Segmenter": "prompttune.segmenter",
    "load_prompt": "prompttune.zoo.store",
    "tune": "prompttune.workflow",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'prompttune' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
