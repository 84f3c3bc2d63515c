"""The command lists, converts, verifies and refuses."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from backbone_files import LAYOUTS, fill, write_hub, write_official, write_ours
from backbone_files import hub_cache as hub_cache
from backbone_files import network as network
from safetensors.torch import load_file

from prompttune.backbone import SHIPPED, SegGPT
from prompttune.backbone.weights import fingerprint
from prompttune.cli.backbone import main
from prompttune.utils.errors import InputError


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
