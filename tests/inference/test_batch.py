"""Reading ahead and writing behind: in order, bounded, and with errors where they belong."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.inference.batch import Behind, read_ahead
from prompttune.utils.errors import InputError


def photos(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(path)
    return paths


def test_images_come_in_order_and_a_bad_one_is_its_error(tmp_path: Path) -> None:
    paths = photos(tmp_path, 9)
    paths[3].write_bytes(b"")
    paths[8].unlink()
    found = list(read_ahead(paths, ahead=2))
    assert [path for path, _ in found] == paths
    for number, (_, image) in enumerate(found):
        if number in (3, 8):
            assert isinstance(image, InputError)
            assert f"{number}.png" in str(image)
        else:
            assert isinstance(image, np.ndarray)
            assert (image == number).all()


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    paths, taken = photos(tmp_path, 20), []

    def counted():
        for path in paths:
            taken.append(path)
            yield path

    images = read_ahead(counted(), ahead=3)
    for number in range(5):
        next(images)
        assert len(taken) == number + 4
    images.close()
    assert len(taken) == 8


def test_reading_goes_on_while_the_caller_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()
    paths = photos(tmp_path, 3)

    def load(path: Path) -> np.ndarray:
        if path == paths[1]:
            second.set()
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("prompttune.inference.batch.load_image", load)
    images = read_ahead(paths, ahead=2)
    next(images)
    assert second.wait(10), "the second was read while only the first was asked for"
    images.close()


def test_work_is_done_behind_in_order() -> None:
    done: list[int] = []
    with Behind(2) as thread:
        for number in range(20):
            thread.do(done.append, number)
            assert len(done) >= number - 2
    assert done == list(range(20))


def test_work_runs_beside_its_giver() -> None:
    given, seen = threading.Event(), []
    with Behind(2) as thread:
        thread.do(lambda: seen.append(given.wait(10)))
        given.set()  # reached only if `do` did not wait for the work
    assert seen == [True]


def test_errors_of_the_work_are_raised() -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), Behind() as thread:
        thread.do(fail)


def test_an_error_stops_the_giver_before_all_is_given() -> None:
    given: list[int] = []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    def run() -> None:
        with Behind(1) as thread:
            for number in range(100):
                given.append(number)
                thread.do(fail)

    with pytest.raises(OSError, match="No space"):
        run()
    assert given == [0, 1]


def test_after_an_error_outside_what_is_pending_is_dropped() -> None:
    done: list[int] = []
    started = threading.Event()

    def slow(number: int) -> None:
        started.set()
        time.sleep(0.05)
        done.append(number)

    def run() -> None:
        with Behind(5) as thread:
            for number in range(5):
                thread.do(slow, number)
            started.wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert done == [0], "what had begun is finished, the rest is not"
