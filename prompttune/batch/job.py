"""One run over many images: its list, cut into parts, and what of it is done.

A run's folder holds `inputs.parquet`, the list, in which each row group is a part; `run.json`, what
the run is of; and `part-NNNNNN.parquet` for each part that is done. A part appears whole, by one
rename, so whatever is killed at whatever moment, going on does the missing parts and no others.
"""

import io
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SUFFIXES
from prompttune.utils.io import write_whole
from prompttune.utils.resuming import check_same_run

if TYPE_CHECKING:
    import pyarrow as pa
    from fsspec import AbstractFileSystem

INPUTS, RUN = "inputs.parquet", "run.json"
PART_SIZE = 64
"""Images of a part: what is lost when a machine is."""


@dataclass(frozen=True)
class Job:
    """The folder of a run, on any file system that all machines see."""

    folder: str
    """Path or URL."""

    @property
    def fs(self) -> "AbstractFileSystem":
        """The file system of the folder."""
        return _file_system(self.folder)[0]

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, or mounted there."""
        return bool(getattr(self.fs, "local_file", False))

    def at(self, name: str) -> str:
        """Return the path of a file of the run."""
        return f"{_file_system(self.folder)[1].rstrip('/')}/{name}"

    def part_file(self, part: int) -> str:
        """Return the path of a part's results."""
        return self.at(f"part-{part:06}.parquet")

    def begin(self, inputs: Iterable[str], settings: dict[str, Any], size: int = PART_SIZE) -> int:
        """Write the list of a run, or find that it goes on; return the number of parts.

        Args:
            inputs: paths and URLs of images.
            settings: what must not differ when a run goes on.
            size: images of a part.

        Raises:
            InputError: no images, or a folder that holds another run.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        given = pa.table({"path": pa.array(inputs, pa.string())})
        if not given.num_rows:
            raise InputError("no images are given")
        fs, known = self.fs, {**settings, "part_size": size}
        fs.makedirs(self.at("").rstrip("/"), exist_ok=True)
        if fs.exists(self.at(RUN)):
            self._check_same(given, known)
        else:
            listed = io.BytesIO()
            pq.write_table(given, listed, row_group_size=size)
            self.write_file(INPUTS, listed.getvalue())
            # Last, so that a run without it has not begun.
            self.write_file(RUN, json.dumps(known, indent=1, sort_keys=True).encode())
        return -(-given.num_rows // size)

    def _check_same(self, given: "pa.Table", settings: dict[str, Any]) -> None:
        import pyarrow.parquet as pq

        try:
            kept = dict(json.loads(self.fs.cat_file(self.at(RUN))))
            with self.fs.open(self.at(INPUTS), "rb") as file:
                listed = pq.read_table(file)
        except (OSError, ValueError, TypeError):  # pyarrow's errors are of these
            raise InputError(
                f"{self.folder}: {RUN} or {INPUTS} is damaged or gone, so the run cannot go on; "
                "choose another --output"
            ) from None
        now = settings | {"images": listed.equals(given)}
        check_same_run(self.folder, kept | {"images": True}, now, "or choose another --output")

    def open_list(self) -> "PartList":
        """Open the list, to read parts of it."""
        return PartList(self.fs.open(self.at(INPUTS), "rb"))

    def is_done(self, part: int) -> bool:
        """Say whether the results of a part are there."""
        return self.fs.exists(self.part_file(part))

    def missing(self, parts: int) -> list[int]:
        """Return which of so many parts are not done yet."""
        done = {name.rpartition("/")[2] for name in self.fs.glob(self.at("part-*.parquet"))}
        return [part for part in range(parts) if f"part-{part:06}.parquet" not in done]

    def write(self, part: int, table: "pa.Table") -> None:
        """Write the results of a part: the file appears whole."""
        import pyarrow.parquet as pq

        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        self.write_file(Path(self.part_file(part)).name, content.getvalue())

    def write_file(self, name: str, content: bytes) -> None:
        """Write another file of the run, which appears whole; its folder is made."""
        fs, path = self.fs, self.at(name)
        folder, _, last = path.rpartition("/")
        fs.makedirs(folder, exist_ok=True)
        if self.is_local:
            write_whole(Path(path), content)
            return
        # Object stores show whole files alone, but what is reached by SFTP or WebDAV does not.
        temporary = f"{folder}/.{last}.{uuid.uuid4().hex}.tmp"
        fs.pipe_file(temporary, content)
        fs.mv(temporary, path)


class PartList:
    """The list of a run, opened once: with millions of parts its footer is what takes time.

    Args:
        file: an open `inputs.parquet`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(file)

    def paths_of(self, part: int) -> list[str]:
        """Return the images of a part."""
        return self._file.read_row_group(part).column("path").to_pylist()


def find_inputs(places: Iterable[str]) -> Iterator[str]:
    """List images: files, folders with all below them, and patterns (`s3://bucket/a/*.png`).

    Args:
        places: paths, or URLs of any file system that fsspec has.

    Raises:
        InputError: a place that is not there, or holds no images.
    """
    for place in places:
        fs, path = _file_system(place)
        found = [path]
        if any(letter in path for letter in "*?["):
            found = [name for name in sorted(fs.glob(path)) if _is_image(name)]
        elif fs.isdir(path):
            found = [name for name in sorted(fs.find(path)) if _is_image(name)]
        elif not fs.exists(path):
            raise InputError(f"{place}: there is no such file or folder")
        if not found:
            raise InputError(f"{place}: holds no images")
        yield from (fs.unstrip_protocol(name) if "://" in place else name for name in found)


def read_list(place: str) -> Iterator[str]:
    """Read a list of images: a path or URL a line; paths are those of the working folder.

    Raises:
        InputError: no such file.
    """
    fs, path = _file_system(place)
    if not fs.isfile(path):
        raise InputError(f"{place}: there is no such list")
    with fs.open(path, "rt", encoding="utf-8") as lines:
        for line in filter(None, map(str.strip, lines)):
            yield line if "://" in line else os.path.abspath(line)  # workers stand elsewhere


def _file_system(place: str) -> tuple["AbstractFileSystem", str]:
    """Return the file system of a path or URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError("batches need fsspec: pip install 'prompttune[batch]'") from error
    try:
        return url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise InputError(f"{place}: {' '.join(str(error).split())}") from None


def _is_image(name: str) -> bool:
    last = name.rpartition("/")[2]
    return not last.startswith(".") and f".{last.rpartition('.')[2].lower()}" in SUFFIXES
