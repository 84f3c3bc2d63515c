"""What tests of `predict` share: a small random SegGPT in a file, and how the command fails."""

from pathlib import Path

import pytest
import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.cli import predict
from prompttune.cli.commandline import run


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = SegGPTConfig(
        canvas=16, patch=4, dim=16, depth=4, heads=2, taps=(2, 3), decoder_dim=4, pretrain_canvas=16
    )
    generator = torch.Generator().manual_seed(0)
    network = SegGPT(config).requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    path = tmp_path_factory.mktemp("backbone") / "small.safetensors"
    save_weights(network, path)
    return path


def fails(line: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """Run the command as its module does; return what it says on stderr."""
    with pytest.raises(SystemExit) as caught:
        run(lambda: predict.main(line), predict.PROG)
    assert caught.value.code == code
    lines = capsys.readouterr().err.splitlines(keepends=True)
    said = [line for line in lines if "chosen from the examples" not in line]
    assert all(each.startswith("prompttune.predict: error: ") for each in said)
    return "".join(said)
