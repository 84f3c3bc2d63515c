"""Whether the network's answer to a window depends, to the last bit, on what shares its batch.

Matrix products may be computed in another order for batches of another size. Where they are not,
windows of different requests can share batches and every request still gets the bits that
`Segmenter.predict` gives. It depends on the machine and its libraries, so it is tried out.
"""

from dataclasses import replace

import torch

from prompttune.inference.segmenter import Segmenter
from prompttune.inference.sliding_window import Part, Window
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt


def is_batch_invariant(segmenter: Segmenter, images: int, canvas: int) -> bool:
    """Try whether windows get the same bits alone, in small batches and in a full one.

    Args:
        segmenter: whose network is tried; its device and precision count.
        images: of each prompt.
        canvas: of the windows, pixels.

    Returns:
        Whether all bits were equal. On the shipped backbone it takes about three full batches.
    """
    full = segmenter.batch_size(images, canvas)
    if full == 1:
        return True
    random = torch.Generator().manual_seed(0)
    prompts = [_prompt(images, canvas, random) for _ in range(2)]
    queries = torch.randint(0, 256, (full, canvas, canvas, 3), generator=random, dtype=torch.uint8)
    pixels = queries.numpy()

    def asked(count: int, prompt: int | None = None) -> list[Window]:
        chosen = [prompts[index % 2 if prompt is None else prompt] for index in range(count)]
        parts = [Part(pixels[index], one, canvas, 0.0) for index, one in enumerate(chosen)]
        return [Window(part, (0, 0), ()) for part in parts]

    alone = asked(full)
    for window in alone:
        segmenter.answer([window])
    batches = [asked(count) for count in sorted({2, full // 2 + 1, full})]
    same = asked(full, prompt=0)  # one prompt for all takes a way of its own
    for batch in (*batches, same):
        segmenter.answer(batch)
    pairs = [(one, other) for batch in batches for one, other in zip(alone, batch, strict=False)]
    pairs += list(zip(alone, same, strict=True))[::2]
    return all(torch.equal(one.part.blend.result(), two.part.blend.result()) for one, two in pairs)


def _prompt(images: int, canvas: int, random: torch.Generator) -> Prompt:
    shape = (images, 3, canvas, canvas)
    prompt = Prompt(
        images=tuple(torch.rand(shape, generator=random)),
        colors=tuple(torch.rand(shape, generator=random)),
        palette=Palette.of(["a", "b"]),
    )
    return replace(prompt, canvas=canvas)
