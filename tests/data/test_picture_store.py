"""Pictures come back as they were, from memory or from the disk, which is left clean."""

import gc
import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from prompttune.data.picture_store import PictureStore
from prompttune.utils.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the system's folder for temporary files, of this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def pictures(count: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    sizes = [(9 + number, 7 + 2 * number) for number in range(count)]
    return [
        (rng.integers(0, 256, (*size, 3), np.uint8), rng.integers(0, 3, size, np.uint8))
        for size in sizes
    ]


def check(store: PictureStore, expected: list[tuple[np.ndarray, np.ndarray]]) -> None:
    assert len(store) == len(expected)
    for found, given in zip(store, expected, strict=True):
        for own, its in zip(found, given, strict=True):
            assert own.dtype == np.uint8
            np.testing.assert_array_equal(own, its)


@pytest.mark.parametrize("most", [0, 700, 10**6])
def test_pictures_come_back(most: int, folder: Path) -> None:
    given, store = pictures(), PictureStore(most)
    for image, class_map in given:
        store.add(image, class_map)
    check(store, given)
    check(store[1:4], given[1:4])  # type: ignore[arg-type]
    np.testing.assert_array_equal(store[-1][0], given[-1][0])
    assert bool(list(folder.iterdir())) == (most < 10**6)


def test_what_has_room_is_held_in_memory(folder: Path) -> None:
    given = pictures()
    sizes = [image.nbytes + class_map.nbytes for image, class_map in given]
    store = PictureStore(sum(sizes[:2]))
    for image, class_map in given:
        store.add(image, class_map)
    written = sum(path.stat().st_size for path in folder.rglob("pictures"))
    assert written == sum(sizes[2:])
    assert store[1][0] is given[1][0]


def test_parts_that_are_not_contiguous_come_back(folder: Path) -> None:
    store, (image, class_map) = PictureStore(0), pictures(1)[0]
    store.add(image[1:-1, ::2], class_map[1:-1, ::2])
    check(store, [(image[1:-1, ::2], class_map[1:-1, ::2])])


def test_another_process_can_read_them(folder: Path) -> None:
    store = PictureStore(0)
    for image, class_map in pictures():
        store.add(image, class_map)
    sent = pickle.dumps(store)
    assert len(sent) < 3000, "no pixels are sent"
    check(pickle.loads(sent), pictures())


def test_nothing_is_left_behind(folder: Path) -> None:
    store = PictureStore(0)
    for image, class_map in pictures():
        store.add(image, class_map)
    copy = pickle.loads(pickle.dumps(store))
    del copy
    gc.collect()
    check(store, pictures())  # who was sent them does not take them away
    del store
    gc.collect()
    assert not list(folder.iterdir())


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond a kilobyte, as on a disk that is almost full."""
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_takes_nothing_away(folder: Path) -> None:
    store = PictureStore(0)
    for image, class_map in pictures():
        store.add(image, class_map)
    child = os.fork()
    if not child:
        del store
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    check(store, pictures())


def test_a_full_disk_is_one_clear_line(folder: Path, small_files: None) -> None:
    image, class_map = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8)
    with pytest.raises(InputError, match=r"have no room.*GiB so far.*TMPDIR.*coarser --scale"):
        PictureStore(0).add(image, class_map)


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/not/there")
    with pytest.raises(InputError, match=r"^/not/there: the training images have no room there"):
        PictureStore(0).add(*pictures(1)[0])
