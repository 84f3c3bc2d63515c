"""Keeps what the network made of the prompts used last: a prompt's own work is done once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from prompttune.backbone.network import EncodedPrompt
from prompttune.prompts.prompt import Prompt

MOST_IMAGES = 64
"""Of all prompts that are kept; an image takes some 10 MB with ViT-L."""


class EncodedPrompts:
    """The prompts used last; each is encoded again only when its pixels or the weights change."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Prompt, tuple[Any, EncodedPrompt]] = WeakKeyDictionary()

    def of_each(
        self,
        prompts: Sequence[Prompt],
        encode: Callable[[Prompt], EncodedPrompt],
        weights: Iterable[Tensor],
    ) -> list[EncodedPrompt]:
        """Return what `encode` makes of each prompt, in their order.

        Args:
            prompts: may repeat.
            encode: does the work.
            weights: all parameters that it depends on.
        """
        made_with = [_state(weight) for weight in weights]
        once = {prompt: self._get(prompt, encode, made_with) for prompt in dict.fromkeys(prompts)}
        return [once[prompt] for prompt in prompts]

    def _get(
        self, prompt: Prompt, encode: Callable[[Prompt], EncodedPrompt], made_with: list[Any]
    ) -> EncodedPrompt:
        shift = () if prompt.type_shift is None else (prompt.type_shift,)
        state = made_with, [_state(each) for each in (*prompt.images, *prompt.colours, *shift)]
        kept = self._kept.pop(prompt, None)
        if kept is None or kept[0] != state:
            kept = state, encode(prompt)
        self._kept[prompt] = kept  # the last used is the last
        images = sum(len(each.images) for each in self._kept)
        for oldest in list(self._kept)[:-1]:
            if images <= MOST_IMAGES:
                break
            images -= len(oldest.images)
            self._kept.pop(oldest, None)
        return kept[1]


def _state(tensor: Tensor) -> tuple[int, int]:
    """Return what changes when a tensor's values do (inference tensors do not count changes)."""
    return tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version
