"""Before images are segmented: what they are, and whether a key has seen their like."""

from pathlib import Path

import pytest
from PIL import Image

from prompttune.data.queries import describe_images, warn_of_sizes
from prompttune.data.reading import AS_STORED, ImageOptions
from prompttune.utils.errors import forget_warnings


def images(folder: Path, *sizes: tuple[int, int]) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("L", size).save(path)
    return paths


def test_what_they_are(tmp_path: Path) -> None:
    paths = images(tmp_path, (30, 20), (30, 20), (9, 8))
    paths[1].write_bytes(b"")
    assert describe_images(paths, AS_STORED) == "3 images; 30 x 20, 9 x 8; 8-bit gray"
    told = describe_images(paths, ImageOptions((1,), "0,9"))
    assert told.endswith("8-bit gray, bands 1, shown from 0,9")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((400, 400), "1 of 2 images are 4.0 times as large .* --resize 0.25"),
        ((50, 50), "1 of 2 images are only 0.50 times as large .* --resize 2"),
        ((120, 90), None),
        ((200, 200), None),
    ],
)
def test_another_resolution_is_warned_of(
    tmp_path: Path, size: tuple[int, int], said: str | None, caplog
) -> None:
    forget_warnings()
    warn_of_sizes(images(tmp_path, (100, 100), size), [{"image_size": [100, 100]}])
    assert len(caplog.records) == (said is not None)
    if said is not None:
        import re

        assert re.search(said, caplog.records[0].message)
        assert "(100 x 100)" in caplog.records[0].message


def test_keys_that_do_not_say_their_size(tmp_path: Path, caplog) -> None:
    warn_of_sizes(images(tmp_path, (400, 400)), [{}])
    assert not caplog.records
