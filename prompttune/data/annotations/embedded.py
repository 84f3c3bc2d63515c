"""Images that lie in an annotation file itself, as labelme keeps them (`imageData`)."""

import base64
import binascii
import hashlib
from pathlib import Path

from prompttune.utils.io import whole_file
from prompttune.utils.user_cache import user_cache

_ENDINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"II*\0": ".tif", b"MM\0*": ".tif"}
_FOLDER = "embedded"


def unpacked(data: object) -> Path:
    """Write an embedded image into the user's cache, once, and return its path.

    Args:
        data: the bytes of an image file in base 64.

    Raises:
        ValueError: no base 64, or no image.
    """
    try:
        content = base64.b64decode(str(data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the one in it is damaged ({error})") from None
    ending = _ENDINGS.get(content[:4]) or _ENDINGS.get(content[:3])
    if ending is None:
        raise ValueError("the one in it is neither PNG, JPEG nor TIFF")
    path = user_cache(_FOLDER) / f"{hashlib.sha256(content).hexdigest()[:32]}{ending}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as out:
            out.write(content)
    return path
