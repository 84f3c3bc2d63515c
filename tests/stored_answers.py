"""What the shipped keys once answered, so that no change of code or of torch changes it unseen.

    python tests/stored_answers.py          # asks keys that are new or were tuned anew
    python tests/stored_answers.py --all    # all: only where a change of the answers is meant

Each key has a generated image and its mask in `tests/answers/`, and the checksum of the key that
answered in `keys.json`. Of some generated images it gets the one of which it marks the share
nearest to a fifth.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "answers"
ZOO = Path(__file__).parents[1] / "prompts_zoo"
SIDE, SEEDS = 144, (0, 1, 2)
SHARE = 0.2
KEYS = "keys.json"


def shipped() -> dict[str, str]:
    """Return the checksums of the shipped keys by their names."""
    files = sorted(ZOO.glob("*/prompt.safetensors"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stored() -> dict[str, str]:
    """Return the checksums of the keys whose answers are stored."""
    path = FOLDER / KEYS
    return json.loads(path.read_text()) if path.is_file() else {}


def load_answer(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a key's image, `S x S x 3 uint8`, and its mask, `S x S uint8`."""
    arrays = []
    for kind in ("image", "mask"):
        with Image.open(FOLDER / f"{name}-{kind}.png") as file:
            arrays.append(np.asarray(file))
    return arrays[0], arrays[1]


def main(names: list[str]) -> None:
    """Ask keys, and store image and mask of each."""
    import prompttune
    from prompttune.synthetic.fundus import generate_fundus
    from prompttune.synthetic.tasks import generate_contours, generate_instances, generate_text

    makers = (generate_fundus, generate_contours, generate_instances, generate_text)
    images = [make(seed, SIDE).image for make in makers for seed in SEEDS]
    segmenter = prompttune.Segmenter(device="cpu", precision="fp32")
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        results = segmenter.predict(images, prompttune.load_prompt(ZOO / name))
        shares = [(result.classes > 0).mean() for result in results]
        best = int(np.argmin(np.abs(np.array(shares) - SHARE)))
        Image.fromarray(images[best]).save(FOLDER / f"{name}-image.png", optimize=True)
        Image.fromarray(results[best].classes).save(FOLDER / f"{name}-mask.png", optimize=True)
        print(f"{name}: {shares[best]:.0%} of image {best} marked", flush=True)
        kept = {**stored(), name: shipped()[name]}
        kept = {each: kept[each] for each in sorted(kept) if each in shipped()}
        (FOLDER / KEYS).write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    known = {} if "--all" in sys.argv else stored()
    main([name for name, digest in shipped().items() if known.get(name) != digest])
