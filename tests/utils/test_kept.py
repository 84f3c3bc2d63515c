"""What is kept, what goes, and what is made again."""

import pickle

from prompttune.utils.kept import Kept


class Maker:
    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, name: str) -> bytes:
        self.made.append(name)
        return name.encode() * 10


def asked(kept: Kept[bytes], maker: Maker, names: str) -> None:
    for name in names:
        assert kept.get(name, lambda name=name: maker(name)) == name.encode() * 10


def test_what_was_asked_for_last_is_kept() -> None:
    kept, maker = Kept(20, len), Maker()
    asked(kept, maker, "abab")
    assert maker.made == ["a", "b"]
    asked(kept, maker, "acab")  # c takes the room of b, and b then that of c
    assert maker.made == ["a", "b", "c", "b"]


def test_one_is_kept_however_large() -> None:
    kept, maker = Kept(5, len), Maker()
    asked(kept, maker, "aaba")
    assert maker.made == ["a", "b", "a"]


def test_another_process_begins_empty() -> None:
    kept, maker = Kept(20, len), Maker()
    asked(kept, maker, "a")
    asked(pickle.loads(pickle.dumps(kept)), maker, "a")
    assert maker.made == ["a", "a"]
