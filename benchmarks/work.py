"""What is measured, and how many floating-point operations it needs at least."""

from dataclasses import dataclass

from prompttune.backbone.config import VIT_LARGE, SegGPTConfig

CONFIGS = {
    "vit-large": VIT_LARGE,
    "small": SegGPTConfig(canvas=128, patch=8, dim=64, depth=4, heads=2, merge_index=1,
    out_indices=(2, 3),
                          decoder_dim=8, pretrain_canvas=64),
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One row of the table."""

    step: bool = False
    """Loss and gradients of the prompt's image and colors; else a forward pass."""
    cached: bool = False
    """Ours has encoded the prompt beforehand."""
    saving: bool = False
    """Ours in its memory-saving mode."""
    bf16: bool = False
    """Ours in bfloat16; on a CPU transformers stays in fp32, where it is faster."""
    prompts: int = 1
    """Of the feature ensemble."""


TASKS = {
    "forward": Task(),
    "forward-cached": Task(cached=True),
    "step": Task(step=True),
    "step-saving": Task(step=True, saving=True),
    "forward-bf16": Task(bf16=True),
    "step-bf16": Task(step=True, bf16=True),
    "ensemble-2": Task(prompts=2),
    "ensemble-4": Task(prompts=4),
    "ensemble-8": Task(prompts=8),
    "ensemble-8-cached": Task(prompts=8, cached=True),
}


def operations(task: Task, config: SegGPTConfig, batch: int) -> float:
    """Return the fewest multiplications and additions of the exact maths, for `batch` queries.

    The last block and the decoder work for the query and its border alone; the query of an ensemble
    passes the linear layers once; weights get no gradient. Position terms count as
    q x (H + W) products.
    """
    dim, half, prompts = config.dim, config.tokens // 2, task.prompts
    border = config.grid[1]
    linear_a_token = (8 + 4 * config.mlp_ratio) * dim**2
    key_value = 4 * dim**2
    attention_a_query = dim * (4 * config.tokens + 2 * sum(config.grid))

    linear = (prompts + 1) * half * linear_a_token
    attention = prompts * config.tokens * attention_a_query
    early, late = config.merge_index + 1, config.out_indices[-1] - config.merge_index
    streams_and_late = early * (batch + (not task.cached)) + max(late - 1, 0) * batch
    linear, attention = linear * streams_and_late, attention * streams_and_late
    if late:
        ends = half + border
        unseen = (prompts + 1) * half - ends
        linear += batch * (ends * linear_a_token + unseen * key_value)
        attention += batch * prompts * ends * attention_a_query
    pixels = config.patch**2 * config.decoder_dim
    linear += batch * 2 * (half + border) * len(config.out_indices) * dim * pixels
    linear += batch * 18 * config.canvas**2 * config.decoder_dim**2
    images = batch + (0 if task.cached else 2 * prompts)
    linear += images * 2 * half * 3 * config.patch**2 * dim
    # Backward: a linear layer has one product for its input, the two of attention have two each.
    return 2 * linear + 3 * attention if task.step else linear + attention
