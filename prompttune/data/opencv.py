"""What OpenCV is given to decode: it makes room for whatever a file says before it looks."""

import cv2
import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def decode_image(encoded: np.ndarray, flags: int) -> np.ndarray | None:
    """Decode an image file with OpenCV.

    Args:
        encoded: the file, `N uint8`.
        flags: of OpenCV, such as `cv2.IMREAD_UNCHANGED`.

    Returns:
        `H x W` or `H x W x C`, of channels in the order that the flags ask for; None where OpenCV
        takes it for no image, or a part of a PNG says that it is longer than the file.
    """
    if not len(encoded) or not _holds_its_parts(encoded):
        return None
    decoded = cv2.imdecode(encoded, flags)
    return None if decoded is None else np.asarray(decoded)


def _holds_its_parts(encoded: np.ndarray) -> bool:
    """Say whether the chunks of a PNG lie within the file; other files have none."""
    if encoded[:8].tobytes() != _SIGNATURE:
        return True
    at = 8
    while at + 8 <= len(encoded):
        length = int.from_bytes(encoded[at : at + 4].tobytes())
        if at + 8 + length > len(encoded):
            return False
        at += 12 + length
    return True
