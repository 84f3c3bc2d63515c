"""The network against transformers: forward, loss, gradients and the feature ensemble."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from seggpt_oracle import (
    CONFIGS,
    half_masked,
    patch_masked,
    random_canvas,
    random_network,
    relative_error,
    transformers_model,
)
from torch import Tensor

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.utils.errors import InputError, explain_out_of_memory

SEG_TYPES = {"semantic": 0, "instance": 1}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> SegGPTConfig:
    return CONFIGS[request.param]


def official(network: SegGPT, image: Tensor, target: Tensor, masked: Tensor, seg_type: str):
    """Return transformers' output and loss for whole canvases."""
    prompt_image, query = image.chunk(2, 2)
    prompt_colors, query_colors = target.chunk(2, 2)
    result = transformers_model(network)(
        pixel_values=query,
        prompt_pixel_values=prompt_image,
        prompt_masks=prompt_colors,
        labels=query_colors,
        bool_masked_pos=masked,
        embedding_type=seg_type,
    )
    return result.pred_masks, result.loss


@pytest.mark.parametrize("seg_type", SEG_TYPES)
@pytest.mark.parametrize("mask", [half_masked, patch_masked])
@torch.no_grad()
def test_forward_is_that_of_transformers(
    config: SegGPTConfig, mask: Callable[[SegGPTConfig, int], Tensor], seg_type: str
):
    network = random_network(config)
    image, target = random_canvas(config, 2)
    masked = mask(config, 2)
    expected, _ = official(network, image, target, masked, seg_type)

    types = torch.full((2,), SEG_TYPES[seg_type])
    whole = network(image, target, masked, types, query_only=False)
    query = network(image, target, masked, types)

    assert relative_error(whole, expected) < 1e-5
    assert relative_error(query, expected[:, :, config.canvas :]) < 1e-5


@torch.no_grad()
def test_seg_type_is_chosen_for_each_row():
    network = random_network(CONFIGS["merge-1"])
    image, target = random_canvas(network.config, 2)
    masked = half_masked(network.config, 2)
    together = network(image, target, masked, torch.tensor([1, 0]))
    for row, kind in enumerate((1, 0)):
        one = slice(row, row + 1)
        alone = network(image[one], target[one], masked[one], torch.tensor([kind]))
        assert relative_error(together[one], alone) < 1e-5


@torch.no_grad()
def test_hidden_target_is_not_seen():
    network = random_network(CONFIGS["merge-1"])
    image, target = random_canvas(network.config, 1)
    masked, seg_type = half_masked(network.config, 1), torch.zeros(1, dtype=torch.long)
    other = target.clone()
    other[:, :, network.config.canvas :] = torch.nan
    expected = network(image, target, masked, seg_type)
    assert torch.equal(network(image, other, masked, seg_type), expected)


@pytest.mark.parametrize("mask", [half_masked, patch_masked])
def test_loss_and_gradients_are_those_of_transformers(
    config: SegGPTConfig, mask: Callable[[SegGPTConfig, int], Tensor]
):
    network = random_network(config)
    masked = mask(config, 1)
    image, target = (x.requires_grad_() for x in random_canvas(config, 1))
    pixels = masked.view(1, 1, *config.grid).float()
    pixels = pixels.repeat_interleave(config.patch, 2).repeat_interleave(config.patch, 3)

    def loss_of(output: Tensor) -> Tensor:
        loss = F.smooth_l1_loss(output, target.detach(), beta=0.01, reduction="none")
        return (loss * pixels).sum() / pixels.expand_as(loss).sum()

    colors, expected = official(network, image, target, masked, "semantic")
    expected_gradients = torch.autograd.grad(loss_of(colors), (image, target))
    output = network(image, target, masked, torch.zeros(1, dtype=torch.long), query_only=False)
    gradients = torch.autograd.grad(loss_of(output), (image, target))

    assert relative_error(loss_of(output), expected) < 1e-5
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        assert relative_error(gradient, wanted) < 1e-5


def ensemble_inputs(config: SegGPTConfig, queries: int, prompts: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    size = (3, config.canvas, config.canvas)
    counts = (queries, prompts, prompts)
    return tuple(torch.randn(count, *size, generator=generator) for count in counts)


def official_ensemble(network: SegGPT, query: Tensor, images: Tensor, colors: Tensor) -> Tensor:
    """Return transformers' answer for one query, 1 x 3 x S x S."""
    result = transformers_model(network)(
        pixel_values=query.expand(len(images), -1, -1, -1),
        prompt_pixel_values=images,
        prompt_masks=colors,
        embedding_type="semantic",
        feature_ensemble=True,
    )
    return result.pred_masks[:1, :, network.config.canvas :]


@pytest.mark.parametrize("prompts", [1, 2, 3, 8])
@torch.no_grad()
def test_feature_ensemble_is_the_official_one(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    queries, images, colors = ensemble_inputs(config, 1, prompts)
    expected = official_ensemble(network, queries, images, colors)
    assert relative_error(network.ensemble(queries, images, colors), expected) < 1e-5


@pytest.mark.parametrize("prompts", [1, 3])
def test_gradients_of_the_ensemble_are_the_official_ones(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    inputs = [x.requires_grad_() for x in ensemble_inputs(config, 1, prompts)]
    weight = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(4))
    expected = torch.autograd.grad((official_ensemble(network, *inputs) * weight).sum(), inputs)
    gradients = torch.autograd.grad((network.ensemble(*inputs) * weight).sum(), inputs)
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert relative_error(gradient, wanted) < 1e-5


@pytest.mark.parametrize("prompts", [1, 2, 3])
@torch.no_grad()
def test_queries_of_a_batch_do_not_see_each_other(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    queries, images, colors = ensemble_inputs(config, 3, prompts)
    together = network.ensemble(queries, images, colors, seg_type=1)
    alone = [network.ensemble(query[None], images, colors, seg_type=1) for query in queries]
    assert relative_error(together, torch.cat(alone)) < 1e-5


@torch.no_grad()
def test_ensemble_of_one_prompt_is_the_half_masked_forward(config: SegGPTConfig):
    network = random_network(config)
    image, target = random_canvas(config, 1)
    expected = network(image, target, half_masked(config, 1), torch.ones(1, dtype=torch.long))
    above, query = image.chunk(2, 2)
    answer = network.ensemble(query, above, target.chunk(2, 2)[0], seg_type=1)
    assert relative_error(answer, expected) < 1e-5


@pytest.mark.parametrize("prompts", [1, 3])
@torch.no_grad()
def test_an_encoded_prompt_serves_all_queries(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    queries, images, colors = ensemble_inputs(config, 2, prompts)
    encoded = network.encode_prompt(images, colors, seg_type=1)
    for query in queries.split(1):
        expected = network.ensemble(query, images, colors, seg_type=1)
        assert torch.equal(network.ensemble(query, encoded), expected)


def test_an_encoded_prompt_carries_gradients(config: SegGPTConfig):
    network = random_network(config)
    inputs = [x.requires_grad_() for x in ensemble_inputs(config, 1, 2)]
    query, images, colors = inputs
    expected = torch.autograd.grad(network.ensemble(*inputs).square().mean(), inputs)
    answer = network.ensemble(query, network.encode_prompt(images, colors))
    gradients = torch.autograd.grad(answer.square().mean(), inputs)
    assert all(map(torch.equal, gradients, expected))


def test_images_of_a_prompt_need_colors():
    network = random_network(CONFIGS["merge-0"])
    query, images, _ = ensemble_inputs(network.config, 1, 1)
    with pytest.raises(InputError, match="need their colors"):
        network.ensemble(query, images)


@pytest.mark.parametrize("prompts", [1, 2])
def test_saving_memory_changes_nothing_but_memory(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    kept, gradients = [], []
    for network.memory in ("fast", "saving"):
        inputs = [x.requires_grad_() for x in ensemble_inputs(config, 2, prompts)]
        sizes: list[int] = []

        def keep(x: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            answer = network.ensemble(*inputs)
        kept.append(sum(sizes))
        gradients.append(torch.autograd.grad(answer.square().mean(), inputs))
    assert all(map(torch.equal, *gradients))
    assert kept[1] < 0.7 * kept[0]


@torch.no_grad()
def test_bf16_is_close(config: SegGPTConfig):
    network = random_network(config)
    inputs = ensemble_inputs(config, 2, 2)
    expected = network.ensemble(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network.ensemble(*inputs)
    whole = network.bfloat16().ensemble(*(x.bfloat16() for x in inputs))
    for answer in (mixed, whole):
        error = (answer.float() - expected).square().mean() / expected.square().mean()
        assert error.sqrt() < 0.05


def test_prediction_does_not_spoil_later_gradients(config: SegGPTConfig):
    network = random_network(config)
    inputs = ensemble_inputs(config, 1, 1)
    with torch.inference_mode():
        expected = network.ensemble(*inputs).clone()
    answer = network.ensemble(*(x.requires_grad_() for x in inputs))
    answer.sum().backward()
    assert torch.equal(answer.detach(), expected.detach())


@torch.no_grad()
def test_frozen_positions_follow_the_weights(config: SegGPTConfig):
    network, other = random_network(config), random_network(config, seed=5)
    inputs = ensemble_inputs(config, 1, 1)
    before = network.ensemble(*inputs)
    expected = other.ensemble(*inputs)
    assert not torch.equal(before, expected)
    network.load_state_dict(other.state_dict())
    assert torch.equal(network.ensemble(*inputs), expected)
    network.load_state_dict(random_network(config).state_dict(), assign=True)
    assert torch.equal(network.ensemble(*inputs), before)
    network.pos_embed.add_(1)
    assert not torch.equal(network.ensemble(*inputs), before)


def test_all_weights_learn(config: SegGPTConfig):
    network = random_network(config).requires_grad_()
    image, target = random_canvas(config, 2)
    masked = patch_masked(config, 2)
    output = network(image, target, masked, torch.tensor([0, 1]), query_only=False)
    output.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_running_out_of_memory_is_explained():
    def fail_gpu() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def fail_cpu() -> None:
        torch.empty(2**60)

    for device, fail in (("GPU", fail_gpu), ("CPU", fail_cpu)):
        with (
            pytest.raises(InputError, match=f"on the {device}: .*--memory saving"),
            explain_out_of_memory(),
        ):
            fail()
    with pytest.raises(RuntimeError, match="shape"), explain_out_of_memory():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


@pytest.mark.parametrize("prompts", [1, 2])
@torch.no_grad()
def test_every_query_of_a_batch_may_have_its_own_prompt(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    queries, images, colors = ensemble_inputs(config, 3, 3 * prompts)
    encoded = [
        network.encode_prompt(*pair, seg_type=number % 2)
        for number, pair in enumerate(zip(images.chunk(3), colors.chunk(3), strict=True))
    ]
    together = network.ensemble(queries, encoded)
    alone = torch.cat([
        network.ensemble(query, prompt)
        for query, prompt in zip(queries.split(1), encoded, strict=True)
    ])  # fmt: skip
    assert relative_error(together, alone) < 1e-5


def test_prompts_of_different_numbers_of_images_cannot_share_a_batch():
    network = random_network(CONFIGS["merge-0"])
    queries, images, colors = ensemble_inputs(network.config, 2, 2)
    encoded = [network.encode_prompt(images[:n], colors[:n]) for n in (1, 2)]
    with pytest.raises(InputError, match=r"prompts of \[1, 2\] images"):
        network.ensemble(queries, encoded)


@pytest.mark.parametrize("prompts", [5, 8, 9])
def test_a_few_prompts_at_a_time_give_what_all_at_once_give(config: SegGPTConfig, prompts: int):
    network = random_network(config)
    inputs = ensemble_inputs(config, 2, prompts)
    at_once = network.ensemble(*(x.requires_grad_() for x in inputs)).detach()
    with torch.inference_mode():
        assert relative_error(network.ensemble(*inputs), at_once) < 1e-5


@torch.no_grad()
def test_a_type_shift_is_another_type_token(config: SegGPTConfig):
    network = random_network(config)
    queries, images, colors = ensemble_inputs(config, 2, 2)
    shift = torch.randn(config.dim, generator=torch.Generator().manual_seed(5))
    answer = network.ensemble(queries, network.encode_prompt(images, colors, 1, shift))
    network.type_token_ins += shift
    expected = network.ensemble(queries, images, colors, seg_type=1)
    assert relative_error(answer, expected) < 1e-5
