"""Index masks: OpenCV turns palette PNGs into colours, here they keep their indices."""

import struct
import zlib

import cv2
import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3


def decode_indices(encoded: bytes) -> np.ndarray | None:
    """Decode a mask: the indices of a palette PNG, the values of any other; None if it cannot be.

    A palette PNG is declared a grey one, whose values OpenCV spreads over 0..255 where they have
    less than eight bits.
    """
    spread = 1
    if encoded[:8] == _SIGNATURE and encoded[12:16] == b"IHDR" and len(encoded) > 33:
        depth, kind = encoded[24], encoded[25]
        if kind == _PALETTE:
            encoded = _declared_grey(encoded)
        if kind in (_GREY, _PALETTE) and depth < 8:
            spread = 255 // (2**depth - 1)
    if not encoded:
        return None
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        return None
    return np.asarray(decoded) // decoded.dtype.type(spread)


def _declared_grey(encoded: bytes) -> bytes:
    header = encoded[12:25] + bytes([_GREY]) + encoded[26:29]
    kept = [encoded[:12] + header + struct.pack(">I", zlib.crc32(header))]
    at = 33
    while at + 8 <= len(encoded):
        end = at + 12 + int.from_bytes(encoded[at : at + 4])
        if encoded[at + 4 : at + 8] not in (b"PLTE", b"tRNS"):
            kept.append(encoded[at:end])
        at = end
    return b"".join(kept)
