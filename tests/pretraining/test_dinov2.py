"""A DINOv2 as a start, against transformers: each layout, each kind of bad file, other patches."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import torch.nn.functional as F
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from prompttune.backbone import SegGPT, SegGPTConfig, load
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.cli.backbone import main
from prompttune.pretraining.dinov2 import Dinov2, read_dinov2, resize_kernel, start_tensors
from prompttune.pretraining.init import grown_network, initialize
from prompttune.utils.errors import InputError

CONFIG = Dinov2Config(
    hidden_size=128, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=2, image_size=35,
    patch_size=5,
)  # fmt: skip
OURS = SegGPTConfig(
    canvas=12, patch=3, dim=128, depth=2, heads=2, mlp_ratio=2, merge_index=0, out_indices=(1,),
    decoder_dim=8, pretrain_canvas=12,
)  # fmt: skip


def random_model(config: Dinov2Config = CONFIG) -> Dinov2Model:
    """Return a model of which no tensor is zero anywhere, and LayerScale far from one."""
    model = Dinov2Model(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> Dinov2Model:
    return random_model()


@pytest.fixture
def folder(model: Dinov2Model, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"


def write_onnx(folder: Path, prefix: str = "backbone.", parted: bool = True) -> Path:
    """Write what an exporter leaves of a model: nameless products, and positions in two parts."""
    path = folder.with_suffix(".onnx")
    initializers, nodes = [], []

    def keep(name: str, value: Tensor) -> str:
        initializers.append(numpy_helper.from_array(value.numpy().copy(), name))
        return name

    for name, value in load_file(folder / "model.safetensors").items():
        if name == "embeddings.position_embeddings" and parted:
            keep("onnx::Reshape_2", value[:, 1:])
            keep("onnx::Concat_1", value[:, :1])
        elif name.startswith("encoder") and name.endswith("weight") and value.ndim == 2:
            weight = keep(f"onnx::MatMul_{len(initializers)}", value.T.contiguous())
            product, bias = f"{name}_product", f"{prefix}{name.removesuffix('weight')}bias"
            nodes.append(helper.make_node("MatMul", ["tokens", weight], [product]))
            both = [bias, product] if len(nodes) % 4 == 1 else [product, bias]
            nodes.append(helper.make_node("Add", both, [f"{name}_sum"]))
        else:
            keep(prefix + name, value)
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [1, None, 128])
    out = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "dinov2", [tokens], [out], initializers)
    onnx.save(helper.make_model(graph), path)
    return path


def features(
    tensors: dict[str, Tensor], heads: int, images: Tensor, first: Tensor | None
) -> list[Tensor]:
    """Return the tokens after every block of a plain Vision Transformer; `first` is the class."""

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, 1e-6)

    kernel, bias = tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"]
    x = F.conv2d(images, kernel, bias, stride=kernel.shape[-1]).flatten(2).mT
    x = x + tensors["pos_embed"][:, 1:]
    if first is not None:
        x = torch.cat((first.expand(len(x), -1, -1), x), 1)
    found = []
    for number in range(sum(name.endswith("norm1.weight") for name in tensors)):
        block = f"blocks.{number}."
        qkv = linear(norm(x, f"{block}norm1"), f"{block}attn.qkv").unflatten(-1, (3, heads, -1))
        mixed = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + linear(mixed.transpose(1, 2).flatten(2), f"{block}attn.proj")
        hidden = F.gelu(linear(norm(x, f"{block}norm2"), f"{block}mlp.fc1"))
        x = x + linear(hidden, f"{block}mlp.fc2")
        found.append(x)
    return [*found, norm(x, "norm")]


def oracle(model: Dinov2Model, images: Tensor) -> list[Tensor]:
    with torch.no_grad():
        out = model(images, output_hidden_states=True)
    return [*out.hidden_states[1:], out.last_hidden_state]


def furthest(ours: list[Tensor], theirs: list[Tensor]) -> float:
    assert len(ours) == len(theirs)
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))


def test_features_after_every_block_are_transformers(model: Dinov2Model, folder: Path):
    dinov2 = read_dinov2(folder)
    images = torch.randn(2, 3, 35, 35, generator=torch.Generator().manual_seed(1))
    theirs = oracle(model, images)
    first = dinov2.tensors["pos_embed"][:, :1] + dinov2.class_token
    ours = features(dinov2.tensors, dinov2.heads, images, first)
    assert furthest(ours, theirs) < 1e-4
    without = features(dinov2.tensors, dinov2.heads, images, None)
    assert furthest(without, [x[:, 1:] for x in theirs]) > 0.1  # so the token is not idle here

    start = start_tensors(dinov2, patch=5, side=7, depth=3)
    ours = features(start, dinov2.heads, images, start["pos_embed"][:, :1])
    assert furthest(ours, theirs) < 1e-4


def test_positions_are_resized_as_transformers_resize_them(model: Dinov2Model, folder: Path):
    images = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(1))
    start = start_tensors(read_dinov2(folder), patch=5, side=4, depth=3)
    ours = features(start, 2, images, start["pos_embed"][:, :1])
    assert furthest(ours, oracle(model, images)) < 1e-4


def test_sizes_and_names(folder: Path):
    dinov2 = read_dinov2(folder)
    sizes = (dinov2.patch, dinov2.dim, dinov2.depth, dinov2.heads, dinov2.hidden, dinov2.side)
    assert sizes == (5, 128, 3, 2, 256, 7)
    network = SegGPT(replace(OURS, patch=5, canvas=35, pretrain_canvas=35, depth=3))
    expected = network.state_dict()
    assert all(value.shape == expected[name].shape for name, value in dinov2.tensors.items())
    assert {value.dtype for value in dinov2.tensors.values()} == {torch.float32}


@pytest.mark.parametrize("prefix", ["", "backbone.", "saliency.dinov2."])
@pytest.mark.parametrize("parted", [True, False])
def test_onnx_holds_the_same(folder: Path, prefix: str, parted: bool):
    assert same(read_dinov2(write_onnx(folder, prefix, parted)), read_dinov2(folder))


def test_folder_of_a_larger_model_holds_the_same(folder: Path, tmp_path: Path):
    expected = read_dinov2(folder)
    weights = folder / "model.safetensors"
    larger = {f"dinov2.{name}": value for name, value in load_file(weights).items()}
    more = {"layernorm.weight": torch.zeros(128), "decoder.layernorm.bias": torch.zeros(128)}
    save_file({**larger, **more}, weights)
    assert same(read_dinov2(folder), expected)


def same(one: Dinov2, other: Dinov2) -> bool:
    tensors = one.tensors.items()
    return (
        (one.patch, one.depth, one.heads) == (other.patch, other.depth, other.heads)
        and one.tensors.keys() == other.tensors.keys()
        and all(torch.equal(value, other.tensors[name]) for name, value in tensors)
        and torch.equal(one.class_token, other.class_token)
    )


def edit(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def edit_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cut(path: Path, left: float) -> None:
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])


BIAS = "encoder.layer.1.mlp.fc1.bias"
FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "one missing": (lambda x: edit(x, lambda t: t.pop(BIAS)), f"safetensors: .*{BIAS} is missing"),
    "no class": (lambda x: edit(x, lambda t: t.pop("embeddings.cls_token")), "cls_token is missi"),
    "no positions": (
        lambda x: edit(x, lambda t: t.pop("embeddings.position_embeddings")),
        "position_embeddings",
    ),
    "shape": (
        lambda x: edit(x, lambda t: t.update({BIAS: torch.zeros(3)})),
        rf"{BIAS} has shape \(3,\), but .* \(256,\)",
    ),
    "not square": (
        lambda x: edit(x, lambda t: t.update(
            {"embeddings.position_embeddings": torch.zeros(1, 49, 128)})),
        "position_embeddings has shape",
    ),
    "flat kernel": (
        lambda x: edit(x, lambda t: t.update(
            {"embeddings.patch_embeddings.projection.weight": torch.zeros(128, 75)})),
        "no DINOv2",
    ),
    "NaN": (
        lambda x: edit(x, lambda t: t.update({BIAS: torch.full((256,), torch.nan)})),
        f"{BIAS} holds values",
    ),
    "more blocks": (
        lambda x: edit_config(x, num_hidden_layers=4),
        r"encoder.layer.3.norm1.weight is missing",
    ),
    "far more blocks": (
        lambda x: edit_config(x, num_hidden_layers=10**9),
        "tensors for 1000000000 blocks",
    ),
    "heads": (lambda x: edit_config(x, num_attention_heads=3), "3 heads .* width of 128"),
    "no number": (lambda x: edit_config(x, num_attention_heads="6"), "config.json: num_attention"),
    "kind": (lambda x: edit_config(x, model_type="vit"), "config.json: model_type is 'vit'"),
    "activation": (lambda x: edit_config(x, hidden_act="relu"), "hidden_act is 'relu'"),
    "list": (lambda x: (x / "config.json").write_text("[1]"), "config.json: no configuration"),
    "half a config": (lambda x: cut(x / "config.json", 0.5), "config.json: no configuration"),
    "no config": (lambda x: (x / "config.json").unlink(), "lacks config.json"),
    "no weights": (lambda x: (x / "model.safetensors").unlink(), "model.safetensors: no such"),
    "truncated": (lambda x: cut(x / "model.safetensors", 0.7), "model.safetensors: no whole"),
    "empty": (lambda x: cut(x / "model.safetensors", 0), "model.safetensors: no whole"),
}  # fmt: skip


def refuse(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_dinov2(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("fault", FOLDERS)
def test_faulty_folder_is_one_line(folder: Path, fault: str):
    spoil, message = FOLDERS[fault]
    spoil(folder)
    refuse(folder, message)


def test_giant_keeps_its_gate(tmp_path: Path):
    config = Dinov2Config(**CONFIG.to_dict() | {"use_swiglu_ffn": True})
    giant = random_model(config)
    giant.save_pretrained(tmp_path / "giant")
    dinov2 = read_dinov2(tmp_path / "giant")
    assert dinov2.mlp == "swiglu"
    assert same(read_dinov2(write_onnx(tmp_path / "giant")), dinov2)
    ours = SegGPTConfig(
        canvas=35, patch=5, dim=128, depth=3, heads=2, mlp="swiglu", mlp_ratio=dinov2.hidden / 128,
        one_way=True, apart=2, class_token=True, match_indices=(0, 1), out_indices=(2,),
        decoder_dim=8, pretrain_canvas=35,
    )  # fmt: skip
    network = grown_network(ours, tmp_path / "giant", seed=0).eval()
    assert isinstance(network, OneWaySegGPT)
    found: list[Tensor] = []
    for block in network.blocks[:2]:
        block.register_forward_hook(lambda _, __, out: found.append(out[0]))
    images = torch.randn(2, 3, 35, 35, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.encode_images(images)
    assert furthest(found, oracle(giant, images)[:2]) < 1e-4
    with pytest.raises(InputError, match="mlp swiglu, not gelu"):
        grown_network(replace(ours, mlp="gelu"), tmp_path / "giant", seed=0)


@pytest.mark.parametrize("left", [0.0, 0.3, 0.999])
def test_truncated_onnx_is_one_line(folder: Path, left: float):
    path = write_onnx(folder)
    cut(path, left)
    refuse(path, "dinov2.onnx: no ")


def test_onnx_of_another_kind_is_one_line(tmp_path: Path):
    path = tmp_path / "other.onnx"
    weight = numpy_helper.from_array(torch.zeros(4, 4).numpy(), "weight")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    node = helper.make_node("MatMul", ["x", "weight"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "other", [x], [y], [weight])), path)
    refuse(path, "no DINOv2")
    path.write_bytes(b"\x89PNG\r\n" * 50)
    refuse(path, "other.onnx: no ")
    refuse(tmp_path / "no.onnx", "no such file or folder")


def test_onnx_whose_tensors_lie_elsewhere(folder: Path, tmp_path: Path):
    path = write_onnx(folder)
    graph = onnx.load(path)
    onnx.save(graph, path, save_as_external_data=True, location="elsewhere.bin", size_threshold=0)
    assert same(read_dinov2(path), read_dinov2(folder))
    (tmp_path / "elsewhere.bin").unlink()
    refuse(path, "dinov2.onnx: no whole ONNX file")


def test_onnx_without_the_package_says_what_to_install(folder: Path, monkeypatch):
    path = write_onnx(folder)
    monkeypatch.setitem(sys.modules, "onnx", None)
    refuse(path, re.escape("pip install 'prompttune[start]'"))


def test_kernel_of_the_same_size_stays():
    kernel = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(resize_kernel(kernel, 5), kernel, atol=1e-6)


def test_larger_kernel_answers_enlarged_patches_alike():
    generator = torch.Generator().manual_seed(0)
    kernel, patches = (torch.randn(8, 3, 5, 5, generator=generator) for _ in range(2))
    larger = F.interpolate(patches, size=(7, 7), mode="bilinear", antialias=True)
    ours = F.conv2d(larger, resize_kernel(kernel, 7))
    assert torch.allclose(ours, F.conv2d(patches, kernel), atol=1e-4)


def test_smaller_kernel_is_nearest_for_patches_like_photos():
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(16, 3, 14, 14, generator=generator)
    noise = torch.randn(400, 3, 14, 14, generator=generator)
    line = torch.arange(14.0)
    places = torch.cartesian_prod(line, line)
    alike = torch.linalg.cholesky(torch.exp(-torch.cdist(places, places) / 14))
    patches = (noise.flatten(2) @ alike.T).unflatten(-1, (14, 14))
    smaller = F.interpolate(patches, size=(8, 8), mode="bilinear", antialias=True)

    def fault(resized: Tensor) -> float:
        return (F.conv2d(smaller, resized) - F.conv2d(patches, kernel)).square().mean().item()

    plain = F.interpolate(kernel, size=(8, 8), mode="bicubic", antialias=True) * (14 / 8) ** 2
    unit = torch.eye(196).view(196, 1, 14, 14)
    resize = F.interpolate(unit, size=(8, 8), mode="bilinear", antialias=True).flatten(1).T
    white = (kernel.flatten(2) @ torch.linalg.pinv(resize)).unflatten(-1, (8, 8))
    assert fault(resize_kernel(kernel, 8)) < fault(white) < fault(plain)


def test_grown_network_has_the_start_and_the_rest_by_seed(folder: Path):
    network = grown_network(OURS, folder, seed=3)
    start = start_tensors(read_dinov2(folder), patch=3, side=4, depth=2)
    other = SegGPT(OURS)
    initialize(other, 3)
    expected = {**other.state_dict(), **start}
    state = network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 64}, "weights of a network with dim 128, not 64"),
        ({"heads": 4, "mlp_ratio": 4}, r"with heads 2, not 4; hidden 256, not 512"),
        ({"depth": 5}, "3 blocks, too few for depth 5"),
    ],
)
def test_start_for_another_network_is_one_line(folder: Path, change: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message) as raised:
        grown_network(replace(OURS, **change), folder, seed=0)
    assert str(folder) in str(raised.value)


def test_start_has_no_more_blocks_than_there_are(folder: Path):
    dinov2 = read_dinov2(folder)
    for depth in (0, 4):
        with pytest.raises(InputError, match=f"depth {depth}: .* 1 to 3"):
            start_tensors(dinov2, 5, 7, depth)


def test_command_writes_what_a_recipe_starts_from(folder: Path, tmp_path: Path, capsys):
    recipe, output = tmp_path / "recipe.yaml", tmp_path / "out" / "start.safetensors"
    recipe.write_text(yaml.safe_dump({"backbone": OURS.to_dict(), "seed": 3}))
    main(["start", str(folder), "--output", str(output), "--recipe", str(recipe)])
    assert "float32" in capsys.readouterr().out
    expected = grown_network(OURS, folder, seed=3).state_dict()
    state = load(output).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    with pytest.raises(InputError, match=r"must end in .safetensors"):
        main(["start", str(folder), "--output", "start.pth", "--recipe", str(recipe)])
