"""What the shipped keys answer with the instructions of other processors.

    OMP_NUM_THREADS=1 python -m benchmarks.instructions

Asks each key for the image in `tests/answers` in processes that may not use newer instructions
(PyTorch's `ATEN_CPU_CAPABILITY`, oneDNN's `ONEDNN_MAX_CPU_ISA`, MKL's `MKL_ENABLE_INSTRUCTIONS`),
and compares with all that this processor has, in fp32. In bf16 processors with AMX use it: what
they answer is compared with fp32, and with bf16 without AMX. Where there is CUDA, it is asked too.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from prompttune.utils.pages import table

ROOT = Path(__file__).parents[1]
LEVELS = {
    "all": {},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
             "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "sse": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "all, bf16": {},
    "avx512, bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
    "cuda": {},
}  # fmt: skip
"""What each level sets."""
BESIDE = {"avx512, bf16": "all, bf16"}
"""The level that one is compared with, where it is another than `all`."""
HEADS = ["instructions", "beside", "scores differ by", "least Dice", "pixels that differ"]
ASK = """
import logging
import sys
import numpy as np
logging.disable()
sys.path[:0] = ["tests"]
from stored_answers import ZOO, load_answer
import prompttune
device, precision, out, *names = sys.argv[1:]
segmenter = prompttune.Segmenter(device=device, precision=precision)
answers = {}
for name in names:
    prompt = prompttune.load_prompt(ZOO / name)
    result = segmenter.predict(load_answer(name)[0], prompt)
    answers[name], answers["mask " + name] = result.scores, result.classes
np.savez(out, **answers)
"""


def ask(level: str, names: list[str], out: Path) -> dict[str, np.ndarray]:
    """Ask keys in a process of a level; return scores and, as `mask NAME`, class maps."""
    device = "cuda" if level == "cuda" else "cpu"
    precision = "bf16" if level.endswith("bf16") else "fp32"
    line = [sys.executable, "-c", ASK, device, precision, str(out), *names]
    subprocess.run(line, check=True, cwd=ROOT, env={**os.environ, **LEVELS[level]})
    with np.load(out) as file:
        return {name: file[name] for name in file.files}


def dice(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the agreement of two class maps, of all classes together."""
    same = ((ours == theirs) & (ours > 0)).sum()
    return float(2 * same / max(1, (ours > 0).sum() + (theirs > 0).sum()))


def compared(
    other: dict[str, np.ndarray], usual: dict[str, np.ndarray], names: list[str]
) -> list[str]:
    """Return the largest difference of a score, the least Dice, and the pixels that differ."""
    most = max(float(np.abs(other[name] - usual[name]).max()) for name in names)
    maps = [(other[f"mask {name}"], usual[f"mask {name}"]) for name in names]
    least = min(dice(*pair) for pair in maps)
    differing = sum(int((ours != theirs).sum()) for ours, theirs in maps)
    return [f"{most:.1e}", f"{least:.5f}", f"{differing} of {sum(ours.size for ours, _ in maps)}"]


def main() -> None:
    """Print a table, a row a level."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", nargs="+", help="names of shipped keys (default: all)")
    parser.add_argument("--levels", nargs="+", choices=[*LEVELS][1:], help="(default: all here)")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT / "tests")]
    import torch
    from stored_answers import stored

    names = given.keys or [*stored()]
    levels = given.levels or [each for each in LEVELS if each not in ("all", "cuda")]
    if not given.levels and torch.cuda.is_available():
        levels.append("cuda")
    rows = []
    with TemporaryDirectory() as folder:
        usual: dict[str, dict[str, np.ndarray]] = {}
        for level in levels:
            beside = BESIDE.get(level, "all")
            if beside not in usual:
                usual[beside] = ask(beside, names, Path(folder) / "usual.npz")
            other = ask(level, names, Path(folder) / "other.npz")
            rows.append([level, beside, *compared(other, usual[beside], names)])
    print(
        table(
            ["instructions", "beside", "scores differ by", "least Dice", "pixels that differ"], rows
        )
    )


if __name__ == "__main__":
    main()
