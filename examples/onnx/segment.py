"""Segments an image without PyTorch: python segment.py cracks.onnx road.png mask.png."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
key = json.loads(session.get_modelmeta().custom_metadata_map["prompttune"])
window, scale, image = key["window"], key["scale"], ImageOps.exif_transpose(Image.open(sys.argv[2]))
if image.mode[0] in "IF" or key["bands"] or key["stretch"]:
    sys.exit(f"{sys.argv[2]}: not a picture of 8 bits; make one of it as the key says ({key})")
size = (window, window) if scale is None else [max(1, round(s * scale)) for s in image.size]
seen = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
# The borders of an image that is smaller than a window are mirrored.
missing = [max(0, window - side) for side in seen.shape[:2]]
top, left = (each // 2 for each in missing)
border = [(top, missing[0] - top), (left, missing[1] - left), (0, 0)]
seen = np.pad(seen, border, mode="reflect")
line = np.exp(-32 * ((np.arange(window) - (window - 1) / 2) / window) ** 2)
weight = np.maximum(np.outer(line, line), 1e-3)  # the middle of a window counts most
total = np.zeros((len(key["classes"]) + 1, *seen.shape[:2]), np.float32)
rows, columns = (
    sorted({min(start, side - window) for start in range(0, side, window * 3 // 4)})
    for side in seen.shape[:2]
)
for at in ((slice(y, y + window), slice(x, x + window)) for y in rows for x in columns):
    scores = session.run(None, {"image": seen[at][None]})[0][0]
    total[:, *at] += np.concatenate([scores, np.ones_like(scores[:1])]) * weight
scores = (total[:-1] / total[-1])[:, top : top + size[1], left : left + size[0]]
scores = np.stack([Image.fromarray(s).resize(image.size, Image.BILINEAR) for s in scores])
mask, best, first = np.zeros(scores.shape[1:], np.uint8), 0.0, 0
for group in key["groups"]:  # a key of many classes has several
    own = scores[first : first + group["classes"]]
    wins = (own.sum(0) > group["threshold"]) & (own.max(0) > best)
    mask, best = np.where(wins, own.argmax(0) + first + 1, mask), np.where(wins, own.max(0), best)
    first += group["classes"]
Image.fromarray(mask.astype(np.uint8)).save(sys.argv[3])
