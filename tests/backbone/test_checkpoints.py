"""Backbones on disk: every layout, every kind of bad file, the fingerprint, the command."""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from seggpt_oracle import CONFIGS, half_masked, hub_config, random_canvas, random_network
from torch import Tensor
from transformers import SegGptForImageSegmentation

from prompttune.backbone import SHIPPED, SegGPT, SegGPTConfig, hub, load
from prompttune.backbone.checkpoints import hub_name, official_name, read_checkpoint
from prompttune.backbone.weights import fingerprint, save_weights
from prompttune.cli.backbone import main
from prompttune.utils.errors import InputError

# As the released network in what an official file cannot tell: merge block 2, taps by equal parts.
CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=6, heads=2, merge_block=2, taps=(2, 5), decoder_dim=8,
    pretrain_canvas=12,
)  # fmt: skip


@pytest.fixture
def network() -> SegGPT:
    return random_network(CONFIG)


def write_ours(network: SegGPT, folder: Path) -> Path:
    save_weights(network, folder / "mine.safetensors", torch.float32)
    return folder / "mine.safetensors"


def write_official(network: SegGPT, folder: Path) -> Path:
    torch.save({"model": network.state_dict()}, folder / "seggpt.pth")
    return folder / "seggpt.pth"


def write_hub(network: SegGPT, folder: Path) -> Path:
    """Let transformers itself write the folder."""
    model = SegGptForImageSegmentation(hub_config(network.config))
    model.load_state_dict({hub_name(name): value for name, value in network.state_dict().items()})
    model.save_pretrained(folder / "hub")
    return folder / "hub"


LAYOUTS: dict[str, Callable[[SegGPT, Path], Path]] = {
    "prompttune": write_ours,
    "official": write_official,
    "Hub": write_hub,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_network(network: SegGPT, tmp_path: Path, layout: str):
    path = LAYOUTS[layout](network, tmp_path)
    loaded = load(path)

    assert read_checkpoint(path).layout == layout
    assert loaded.config == CONFIG
    assert loaded.name == path.stem
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.fingerprint == fingerprint(network.state_dict())
    image, target = random_canvas(CONFIG, 1)
    inputs = image, target, half_masked(CONFIG, 1), torch.zeros(1, dtype=torch.long)
    assert torch.equal(loaded(*inputs), network(*inputs))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_hub_folder_of_any_size(config: SegGPTConfig, tmp_path: Path):
    network = random_network(config)
    assert load(write_hub(network, tmp_path)).config == config
    assert load(write_ours(network, tmp_path)).config == config


def test_hub_config_without_a_field_means_the_released_value(tmp_path: Path):
    folder = write_hub(random_network(CONFIG), tmp_path)
    values = json.loads((folder / "config.json").read_text())
    for name in ("merge_index", "mlp_dim"):
        values.pop(name)
    (folder / "config.json").write_text(json.dumps(values))
    assert load(folder).config == CONFIG


def test_fingerprint_is_of_the_stored_values(network: SegGPT, tmp_path: Path):
    path = write_ours(network, tmp_path)
    half = tmp_path / "half.safetensors"
    save_weights(network, half, torch.bfloat16)

    assert load(path, dtype=torch.bfloat16).fingerprint == load(path).fingerprint
    assert load(half).fingerprint != load(path).fingerprint
    assert next(load(path, dtype=torch.bfloat16).parameters()).dtype == torch.bfloat16
    assert next(load(half).parameters()).dtype == torch.float32

    with torch.no_grad():
        network.mask_token[0, 0, 0, 0] += 1
    assert fingerprint(network.state_dict()) != load(path).fingerprint


def test_names_go_there_and_back(network: SegGPT):
    names = list(network.state_dict())
    assert [official_name(hub_name(name)) for name in names] == names
    assert not {hub_name(name) for name in names} & set(names)
    assert official_name("head.weight") == "head.weight"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists mapped files")
def test_weights_are_mapped_not_copied(network: SegGPT, tmp_path: Path):
    path = write_ours(network, tmp_path).resolve()
    loaded = load(path)
    address = loaded.blocks[0].mlp.fc1.weight.data_ptr()
    regions = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    mapped = [region[0].split("-") for region in regions if region[-1] == str(path)]
    assert any(int(start, 16) <= address < int(end, 16) for start, end in mapped)


def edited(path: Path, edit: Callable[[dict[str, Tensor]], Any]) -> Path:
    """Write the tensors of our file again after an edit."""
    from prompttune.backbone.weights import read_safetensors

    metadata, tensors = read_safetensors(path)
    edit(tensors)
    save_file(tensors, path.with_name("edited.safetensors"), metadata)
    return path.with_name("edited.safetensors")


def set_value(tensors: dict[str, Tensor], value: float) -> None:
    tensors["pos_embed"] = torch.full_like(tensors["pos_embed"], value)


FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "one missing": (lambda x: x.pop("mask_token"), "missing mask_token"),
    "many missing": (
        lambda x: [x.pop(name) for name in list(x) if name.startswith("blocks.0.attn")],
        r"missing blocks.0.attn.proj.bias, .* and 3 more",
    ),
    "one unknown": (lambda x: x.update(head=torch.zeros(3)), "unknown head"),
    "shape": (
        lambda x: x.update({"blocks.3.attn.rel_pos_h": torch.zeros(3, 8)}),
        r"blocks.3.attn.rel_pos_h has shape \(3, 8\), .* \(15, 8\)",
    ),
    "NaN": (lambda x: set_value(x, torch.nan), "pos_embed .*infinite or NaN"),
    "infinite": (lambda x: set_value(x, torch.inf), "pos_embed .*infinite or NaN"),
    "integers": (lambda x: x.update(mask_token=x["mask_token"].int()), "mask_token .*int32"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_tensors_are_named(network: SegGPT, tmp_path: Path, fault: str):
    edit, message = FAULTS[fault]
    path = edited(write_ours(network, tmp_path), edit)
    with pytest.raises(InputError, match=message) as raised:
        load(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_truncated_file(network: SegGPT, tmp_path: Path, layout: str, left: float):
    path = LAYOUTS[layout](network, tmp_path)
    file = path / "model.safetensors" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[: int(left * file.stat().st_size)])
    with pytest.raises(InputError, match=re.escape(str(file))):
        load(path)


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_pickle_is_not_executed(
    network: SegGPT, tmp_path: Path, write: Callable[[Any, Path], Any]
):
    trace = tmp_path / "executed"
    write({"model": network.state_dict(), "more": Harmful(trace)}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"bad.pth: .*not executed"):
        load(tmp_path / "bad.pth")
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"conv1.weight": torch.zeros(2)}},
        {"epoch": 3},
        [torch.zeros(2)],
        {"model": {}},
        {"model": {"patch_embed.proj.weight": torch.zeros(4)}},
    ],
)
def test_foreign_official_file(tmp_path: Path, content: Any):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other.pth"):
        load(tmp_path / "other.pth")


def test_bare_state_dict_and_old_pickle_format_are_read(network: SegGPT, tmp_path: Path):
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load(tmp_path / "old.pth").fingerprint == fingerprint(network.state_dict())


def test_foreign_safetensors(tmp_path: Path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no prompttune backbone"):
        load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "config", ["", "[1]", "{", '{"size": 3}', '{"dim": 15}', '{"depth": "many"}', '{"taps": []}']
)
def test_damaged_metadata(network: SegGPT, tmp_path: Path, config: str):
    metadata = {"format": "prompttune-backbone", "config": config}
    save_file(network.state_dict(), tmp_path / "odd.safetensors", metadata)
    with pytest.raises(InputError, match=r"odd.safetensors"):
        load(tmp_path / "odd.safetensors")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model_type", "vit", "model_type is 'vit'"),
        ("image_size", [448, 448], "448 x 448"),
        ("image_size", 448, "config.json"),
        ("hidden_act", "relu", "relu"),
        ("num_attention_heads", 3, "heads=3"),
        ("hidden_size", "wide", "config.json"),
    ],
)
def test_hub_folder_of_another_network(
    network: SegGPT, tmp_path: Path, field: str, value: Any, message: str
):
    folder = write_hub(network, tmp_path)
    values = json.loads((folder / "config.json").read_text()) | {field: value}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=message):
        load(folder)


def test_hub_folder_lacks_a_file(network: SegGPT, tmp_path: Path):
    folder = write_hub(network, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model.safetensors: no such"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"lacks config.json"):
        load(folder)


def test_unknown_name_and_missing_file(tmp_path: Path):
    with pytest.raises(InputError, match="Did you mean 'seggpt-small'"):
        load("seggpt-smal")
    with pytest.raises(InputError, match="no such backbone file"):
        load(tmp_path / "no.safetensors")
    with pytest.raises(InputError, match="no such backbone file"):
        load(tmp_path / "no")


def test_device_that_is_not_there(network: SegGPT, tmp_path: Path, monkeypatch):
    path = write_ours(network, tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", "cuda:1", torch.device("cuda")):
        with pytest.raises(InputError, match="no CUDA device"):
            load(path, device=device)
    with pytest.raises(InputError, match="choose cpu or cuda"):
        load(path, device="gpu")


def test_nothing_half_written_is_left(network: SegGPT, tmp_path: Path, monkeypatch):
    path = write_ours(network, tmp_path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_ours(network, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch) -> Path:
    """Return an empty cache of the Hub's library, which is told that there is no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def fill(cache: Path, folder: Path) -> Path:
    """Lay a folder into the cache as the Hub's library does."""
    repository = cache / f"models--{hub.REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / hub.REVISION).write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    return snapshot


def test_large_network_comes_from_the_cache(network: SegGPT, tmp_path: Path, hub_cache: Path):
    fill(hub_cache, write_hub(network, tmp_path))
    loaded = load("seggpt-vit-large")
    assert loaded.name == "seggpt-vit-large"
    assert loaded.fingerprint == fingerprint(network.state_dict())


def test_neither_cache_nor_network(network: SegGPT, tmp_path: Path, hub_cache: Path):
    message = r"put config.json and model.safetensors from https://huggingface.co/BAAI"
    with pytest.raises(InputError, match=message):
        load("seggpt-vit-large")
    snapshot = fill(hub_cache, write_hub(network, tmp_path))
    (snapshot / "model.safetensors").unlink()  # an interrupted download
    with pytest.raises(InputError, match=message):
        load("seggpt-vit-large")


def test_large_network_without_the_hub_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="pip install huggingface_hub"):
        load("seggpt-vit-large")


def test_download_asks_for_the_two_files(network: SegGPT, tmp_path: Path, hub_cache, monkeypatch):
    asked = {}

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(fill(hub_cache, write_hub(network, tmp_path)))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert main(["download"]) == 0
    assert asked == {
        "repository": "BAAI/seggpt-vit-large",
        "revision": hub.REVISION,
        "allow_patterns": ["config.json", "model.safetensors"],
    }


def test_list_says_what_is_here(network: SegGPT, tmp_path: Path, hub_cache: Path, capsys):
    main(["list"])
    lines = capsys.readouterr().out
    assert all(name in lines for name in SHIPPED)
    assert "python -m prompttune.backbone download seggpt-vit-large" in lines
    snapshot = fill(hub_cache, write_hub(network, tmp_path))
    main(["list"])
    assert f"seggpt-vit-large: {snapshot}" in capsys.readouterr().out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_convert_keeps_values_and_fingerprint(network: SegGPT, tmp_path: Path, layout: str, capsys):
    source, output = LAYOUTS[layout](network, tmp_path), tmp_path / "out" / "new.safetensors"
    main(["convert", str(source), str(output)])
    assert fingerprint(network.state_dict()) in capsys.readouterr().out
    stored = load_file(output)
    assert stored.keys() == network.state_dict().keys()
    assert all(torch.equal(stored[name], value) for name, value in network.state_dict().items())
    main(["convert", str(source), str(output), "--dtype", "bfloat16"])
    assert {value.dtype for value in load_file(output).values()} == {torch.bfloat16}


def test_convert_and_download_refuse(network: SegGPT, tmp_path: Path):
    source = write_ours(network, tmp_path)
    with pytest.raises(InputError, match=r"must end in .safetensors"):
        main(["convert", str(source), str(tmp_path / "new.pth")])
    with pytest.raises(InputError, match="Did you mean 'seggpt-vit-large'"):
        main(["download", "seggpt-large"])


def test_verify_prints_the_fingerprint(network: SegGPT, tmp_path: Path, capsys):
    main(["verify", str(write_official(network, tmp_path))])
    lines = capsys.readouterr().out
    assert "layout: official, float32" in lines
    assert f"tensors: {len(network.state_dict())}" in lines
    assert f"fingerprint: {fingerprint(network.state_dict())}" in lines


def test_help_needs_no_torch_and_errors_are_one_line():
    script = (
        "import sys; sys.argv[1:] = {!r}\n"
        "import runpy\n"
        "try: runpy.run_module('prompttune.backbone', run_name='__main__')\n"
        "finally: print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script.format(["convert", "--help"])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines()[-1] == "False"
    run = subprocess.run(
        [sys.executable, "-m", "prompttune.backbone", "verify", "nothing.pth"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr == (
        "prompttune.backbone: error: nothing.pth: no such backbone file or folder.\n"
    )
