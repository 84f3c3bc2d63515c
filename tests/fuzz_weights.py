"""Keys, backbones, checkpoints, and starts for `fuzz_readers.py`, and how they are read.

Bytes of weights say little: beside them what a file says is damaged, its tensors' names, shapes,
and kinds, the nodes of its graph, and the places of other files that it names.
"""

import io
import pickle
import random
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from fuzz_annotations import HEIGHT, WIDTH, as_json, png
from fuzz_damage import VALUES, in_bytes, values
from torch import Tensor

KINDS = (torch.int8, torch.int64, torch.bool, torch.float16, torch.complex64, torch.float64)
ELSEWHERE = ("/etc/hostname", "../../../etc/hostname", "file", ".", "", "a/b", "\x00")


@cache
def keys() -> list[bytes]:
    """Make a small key, and one with a companion."""
    from key_fixtures import accompanied, make_key

    from prompttune.keys.key import save_key

    make = partial(make_key, prompts=1, size=8)
    found = []
    for prompt, card in (make(), accompanied(make)):
        with tempfile.TemporaryDirectory() as folder:
            found.append((save_key(prompt, card, folder) / "prompt.safetensors").read_bytes())
    return found


def read_key(path: Path) -> object:
    """Read a key as every command does."""
    from prompttune.prompts.loading import load_key

    return load_key(path)


@cache
def _network() -> Any:
    from prompttune.backbone import SegGPT, SegGPTConfig

    return SegGPT(
        SegGPTConfig(
            canvas=8, patch=4, dim=4, depth=2, heads=1, merge_index=0, out_indices=(0, 1),
            decoder_dim=2, pretrain_canvas=8,
        )
    )  # fmt: skip


@cache
def backbones() -> list[bytes]:
    """Make a small backbone in our layout."""
    from prompttune.backbone.weights import save_weights

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_weights(_network(), path)
        return [path.read_bytes()]


@cache
def officials() -> list[bytes]:
    """Make a small backbone in the authors' layout, packed and in the older one."""
    found = []
    for packed in (True, False):
        file = io.BytesIO()
        content = {"model": _network().state_dict()}
        torch.save(content, file, _use_new_zipfile_serialization=packed)
        found.append(file.getvalue())
    return found


def read_backbone(path: Path, name: str = "a.safetensors") -> object:
    """Read a backbone under a name that tells its layout."""
    from prompttune.backbone import load

    return load(path.rename(path.with_name(name)))


def hub_configs() -> list[bytes]:
    """Make the configuration that lies beside a backbone of the Hub."""
    return [as_json({
        "model_type": "seggpt", "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": True,
        "num_channels": 3, "use_relative_position_embeddings": True, "image_size": [16, 8],
        "hidden_size": 4, "patch_size": 4, "num_hidden_layers": 2, "num_attention_heads": 1,
        "mlp_dim": 16, "merge_index": 0, "intermediate_hidden_state_indices": [0, 1],
        "decoder_hidden_size": 2, "pretrain_image_size": 8,
    })]  # fmt: skip


def read_hub_config(path: Path) -> object:
    """Read a folder of the Hub with this configuration."""
    from safetensors.torch import save

    from prompttune.backbone import load
    from prompttune.backbone.checkpoints import hub_name

    stored = {hub_name(name): value for name, value in _network().state_dict().items()}
    path.rename(path.with_name("config.json"))
    path.with_name("model.safetensors").write_bytes(save(stored))
    return load(path.parent)


@cache
def checkpoints() -> list[bytes]:
    """Make what a stopped tuning goes on from."""
    file = io.BytesIO()
    state = {"state": {0: {"step": 3, "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    kept = {"state_dict": {"pixels": torch.ones(2, 3)}, "global_step": 3, "epoch": 1}
    torch.save(kept | {"optimizer_states": [state], "best": float("nan")}, file)
    return [file.getvalue()]


def read_run_checkpoint(path: Path) -> object:
    """Read it as `--resume` does."""
    from prompttune.tuning.checkpoints import read_checkpoint

    return read_checkpoint(path)


def in_tensors(data: bytes, rng: random.Random) -> bytes:
    """Damage the names, shapes, and kinds of a PyTorch file's tensors; it is one afterwards."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    holder = content.get("model", content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(list(holder))
        value, kind = holder[name], rng.randrange(5)
        if kind == 0:
            del holder[name]
        elif kind == 1:
            holder[rng.choice(("", "x", 7, None, "pos_embed", "blocks.99999999.norm1.bias"))] = (
                value
            )
        elif kind == 2 or not isinstance(value, Tensor):
            holder[name] = rng.choice(VALUES)
        else:
            holder[name] = _other(value, rng)
        if not holder:
            break
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _other(tensor: Tensor, rng: random.Random) -> Tensor:
    if tensor.numel() > 2**20 or tensor.is_sparse or tensor.is_meta:  # was damaged before
        return tensor
    ways = (
        lambda: tensor.to(rng.choice(KINDS)),
        lambda: tensor.flatten(),
        lambda: tensor[None],
        lambda: tensor[:0] if tensor.ndim else tensor,
        lambda: tensor.to_sparse(),
        lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor,
        lambda: torch.zeros(()).expand((2**40,)),  # large, and nothing is kept of it
        lambda: torch.empty(tensor.shape, device="meta"),
    )
    return rng.choice(ways)()


OURS: dict[str, Any] = {
    "canvas": 8, "patch": 4, "dim": 64, "depth": 1, "heads": 1, "mlp_ratio": 0.125,
    "merge_index": 0, "out_indices": (0,), "decoder_dim": 2, "pretrain_canvas": 8,
}  # fmt: skip
"""A network that the DINOv2 below starts."""


@cache
def _dinov2() -> dict[str, Tensor]:
    from prompttune.pretraining.dinov2 import _shapes

    torch.manual_seed(0)
    sizes = _shapes(dim=64, patch=2, mlp="gelu", hidden=8, side=2, depth=1)
    return {name: torch.randn(size) for name, size in sizes.items()}


@cache
def starts() -> list[bytes]:
    """Make the graph of a small DINOv2 as an exporter leaves it: weights of products nameless."""
    from onnx import TensorProto, helper, numpy_helper

    kept, nodes = [], []
    for name, value in _dinov2().items():
        if name.startswith("encoder") and name.endswith("weight") and value.ndim == 2:
            weight, bias = f"onnx::MatMul_{len(kept)}", f"{name.removesuffix('weight')}bias"
            nodes.append(helper.make_node("MatMul", ["tokens", weight], [f"{name}_product"]))
            nodes.append(helper.make_node("Add", [bias, f"{name}_product"], [f"{name}_sum"]))
            kept.append(numpy_helper.from_array(value.T.contiguous().numpy(), weight))
        else:
            kept.append(numpy_helper.from_array(value.numpy(), name))
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [1, None, 64])
    out = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "dinov2", [tokens], [out], kept)
    return [helper.make_model(graph).SerializeToString()]


def in_graph(data: bytes, rng: random.Random) -> bytes:
    """Damage tensors and nodes of an ONNX file; it is one afterwards."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if rng.random() < 0.3:
            node = rng.choice(model.graph.node)
            words = rng.choice((node.input, node.output))
            kind = rng.randrange(3)
            if kind == 0 and words:
                words.pop()
            elif kind == 1 and words:
                words[0] = rng.choice(("", "x", words[-1], node.output[0] if node.output else ""))
            else:
                node.op_type = rng.choice(("Add", "MatMul", "Gemm", ""))
        else:
            _in_tensor(rng.choice(model.graph.initializer), rng)
    return bytes(model.SerializeToString())


def _in_tensor(tensor: Any, rng: random.Random) -> None:
    kind = rng.randrange(6)
    if kind == 0:
        tensor.name = rng.choice(("", "x", "encoder.layer.99999999.norm1.bias", "embeddings.x"))
    elif kind == 1:
        tensor.data_type = rng.choice((-1, 0, 2, 8, 10, 11, 14, 16, 17, 22, 23, 99))
    elif kind == 2 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((-1, 0, 1, 2**31, 2**62))
    elif kind == 3:
        tensor.dims.append(rng.choice((0, 1, -1, 2**40)))
    elif kind == 4:
        tensor.raw_data = in_bytes(tensor.raw_data, rng)
    else:
        tensor.data_location = 1  # in another file
        for name, value in (
            ("location", rng.choice(ELSEWHERE)),
            ("offset", str(rng.choice(VALUES))),
            ("length", str(rng.choice(VALUES))),
        ):
            if rng.random() < 0.7:
                entry = tensor.external_data.add()
                entry.key, entry.value = name, value


def read_start(path: Path, name: str = "a.onnx") -> object:
    """Start a network from it, as `prompttune backbone start` does."""
    from prompttune.backbone import SegGPTConfig
    from prompttune.pretraining.init import grown_network

    return grown_network(SegGPTConfig(**OURS), path.rename(path.with_name(name)), 0)


def dinov2_configs() -> list[bytes]:
    """Make the configuration that lies beside a DINOv2."""
    config = {"model_type": "dinov2", "hidden_act": "gelu", "layer_norm_eps": 1e-6}
    return [as_json(config | {"num_hidden_layers": 1, "num_attention_heads": 1})]


def read_dinov2_config(path: Path) -> object:
    """Start a network from a folder of transformers with this configuration."""
    from safetensors.torch import save

    path.rename(path.with_name("config.json"))
    path.with_name("model.safetensors").write_bytes(save(_dinov2()))
    return read_start(path.parent, path.parent.name)


def published_lists() -> list[bytes]:
    """Make the pickled lists of COCO-20i, LVIS-92i, and PACO-Part, the set's number before each."""
    name, box = "val2017/photo.png", [2.0, 3.0, 12.0, 3.0, 12.0, 13.0]
    run = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH - 9, 9]}
    shown = {"annotations": [{"segmentation": [box]}, {"segmentation": run}]}
    part = {"category_id": 0, "obj_ann_id": 1, "obj_bbox": [2.4, 1.2, 9.0, 9.0],
            "segmentation": [box]}  # fmt: skip
    lists: tuple[object, ...] = (
        {label: [name, "val2017/other.png"] for label in range(80)},
        {label: {name: shown, "val2017/other.png": shown} for label in range(10)},
        {
            "cid2img": {n: [{0: f"coco/{name}"}, {1: "coco/val2017/other.png"}] for n in range(4)},
            "img2anno": {number: [part] for number in range(2)},
        },
    )
    return [b"%d" % number + pickle.dumps(each) for number, each in enumerate(lists)]


def in_pickle(data: bytes, rng: random.Random) -> bytes:
    """Damage what a pickled list says; it is one afterwards."""
    return data[:1] + pickle.dumps(values(pickle.loads(data[1:]), rng))


def read_published_list(path: Path) -> object:
    """Draw two episodes of a set by it, and read them."""
    from prompttune.protocols.protocol import Options
    from prompttune.protocols.sets import coco_20i, lvis_92i, paco_part

    content = path.read_bytes()
    number = int(content[:1]) % 3 if content[:1].isdigit() else 0
    opened = (coco_20i, lvis_92i, paco_part)[number]
    root = path.parent / "set"
    for name in ("photo", "other"):
        for place, kind in (("coco/val2017", "image"), ("val2017", "image"),
                            ("annotations/val2017", "mask")):  # fmt: skip
            target = root / place / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(png(kind))
    for place in ("splits/val/fold0.pkl", "lvis_val.pkl", "paco/paco_part_val.pkl",
                  "paco/paco_part_train.pkl"):  # fmt: skip
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(content[1:])
    drawn = opened.episodes(root, Options(), 2)
    return [drawn.load(each.query, each.label) for each in drawn.episodes]
