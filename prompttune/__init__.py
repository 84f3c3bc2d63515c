"""In-context tuning for SegGPT: learn one prompt a segmentation task, keep the network frozen.

The public names are imported when they are first used, so that `import prompttune` and a command's
`--help` cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prompttune.inference.result import Result
    from prompttune.inference.segmenter import Segmenter
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.palette import Palette
    from prompttune.prompts.prompt import Prompt
    from prompttune.utils.errors import InputError
    from prompttune.workflows.tune import tune
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

# Written out, not lazy_loader's `attach`: a type checker sees through that one only by a stub file,
# the list above once more. What it would save are the 8 lines at the end.
_HOMES = {
    "Composition": "prompttune.prompts.composition",
    "InputError": "prompttune.utils.errors",
    "Palette": "prompttune.prompts.palette",
    "Prompt": "prompttune.prompts.prompt",
    "Result": "prompttune.inference.result",
    "Segmenter": "prompttune.inference.segmenter",
    "load_prompt": "prompttune.zoo.store",
    "tune": "prompttune.workflows.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'prompttune' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
