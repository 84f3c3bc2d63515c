"""Write an annotated video, whole or not at all."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from prompttune.utils.io import publish, temporary_for

QUALITY = "18"
"""x264's constant rate factor: outlines a pixel wide stay sharp."""


class VideoWriter:
    """Writes H.264 in MP4; the file appears under its name when the `with` block ends well.

    Args:
        path: of the file; its folder exists.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self.path = path
        self.rate = rate
        self._temporary = temporary_for(path)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> "VideoWriter":
        self._container = av.open(str(self._temporary), "w", format="mp4")
        return self

    def add(self, frame: np.ndarray) -> None:
        """Add a frame, `H x W x 3 uint8` RGB, all of one size."""
        assert self._container is not None
        if self._stream is None:
            self._stream = self._container.add_stream(
                "libx264", self.rate, options={"crf": QUALITY}
            )
            self._stream.height, self._stream.width = frame.shape[:2]
            # 4:2:0, which all players know, halves colors: it cannot hold an odd side.
            odd = frame.shape[0] % 2 or frame.shape[1] % 2
            self._stream.pix_fmt = "yuv444p" if odd else "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._container is not None
        try:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode())
            self._container.close()
            if kind is None and self._stream is not None:
                publish(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
