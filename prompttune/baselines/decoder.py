"""A prompt that is tuned beside a part of the network: what freezing all of it costs."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prompttune.backbone import SegGPT
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.learnable import LearnablePrompt
from prompttune.tuning.module import PromptTuning
from prompttune.tuning.run import Machine, Tuned, tune

LR = 1e-3
"""Peak rate of the convolutions: AdamW's usual one for them."""


class DecoderTuning(PromptTuning):
    """Learns a prompt and the last two convolutions of the network's decoder.

    The network given is changed: in the end its convolutions are those of the best validation. It
    is no key: whoever wants the prompt needs these weights as well.
    """

    def __init__(
        self, network: SegGPT, prompt: LearnablePrompt, recipe: Recipe, seconds: float = 0.0
    ) -> None:
        super().__init__(network, prompt, recipe, seconds)
        for parameter in self._learned():
            parameter.requires_grad_(True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the prompt's groups and that of the convolutions."""
        return [*super().parameter_groups(), {"params": self._learned(), "lr": LR}]

    def on_validation_epoch_end(self) -> None:
        """Keep the convolutions of the best validation beside its prompt."""
        super().on_validation_epoch_end()
        if self.best["step"] == self.global_step:
            self.best["decoder"] = [each.detach().clone() for each in self._learned()]

    @torch.no_grad()
    def on_train_end(self) -> None:
        """Bring back the convolutions of the best validation."""
        kept: list[Tensor] = self.best.pop("decoder", [])
        for parameter, value in zip(self._learned(), kept, strict=False):
            parameter.copy_(value)

    def _learned(self) -> list[nn.Parameter]:
        return decoder_tail(self.network)


def decoder_tail(network: SegGPT) -> list[nn.Parameter]:
    """Return the weights and biases of the decoder's last two convolutions."""
    convolutions = [each for each in network.decoder_pred.modules() if isinstance(each, nn.Conv2d)]
    return [parameter for each in convolutions[-2:] for parameter in each.parameters()]


def tune_with_decoder(
    start: Prompt | Composition,
    recipe: Recipe,
    network: SegGPT,
    data: TaskData,
    output: Path,
    machine: Machine,
) -> tuple[Tuned, SegGPT]:
    """Go on from a learned prompt, the decoder's last two convolutions learned beside it.

    Args:
        start: the key, or what tuning made.
        recipe: of the key; its steps are taken once more.
        network: stays as it is.
        data: that the key was tuned on.
        output: scratch folder of the run.
        machine: that computes.

    Returns:
        The prompt, and the network that answers it.
    """
    own = deepcopy(network)
    tuned = tune(recipe, own, data, output, machine, start=start, module=DecoderTuning)
    own.requires_grad_(False)
    return tuned, own
