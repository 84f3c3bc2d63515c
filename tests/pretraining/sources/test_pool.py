"""Pools: folders of every layout, packed files, and what is wrong with them."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.cli.pretraining import main
from prompttune.pretraining.dataset import Mix, PairDataset
from prompttune.pretraining.sources.packed import MANIFEST
from prompttune.pretraining.sources.packing import pack
from prompttune.pretraining.sources.png import decode_indices
from prompttune.pretraining.sources.pool import IGNORE, SetConfig, read_pool
from prompttune.utils.errors import InputError


def write_set(folder: Path, names: tuple[str, ...], masks: bool = True) -> None:
    """Images whose left half is bright; masks 0, 1 and 11 in a strip."""
    rng = np.random.default_rng(0)
    for name in names:
        classes = np.zeros((40, 60), np.uint8)
        classes[5:, :30], classes[:5] = 1, 11
        image = rng.integers(0, 60, (40, 60, 3)).astype(np.uint8)
        image[:, :30] += 150
        for part, values in (("images", image), ("masks", classes)):
            if part == "images" or masks:
                path = folder / part / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), values)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", ("a", "b", "c"))
    return tmp_path


def test_values_become_classes_as_configured(pool: Path) -> None:
    def read(**config) -> tuple[set[int], list[int]]:
        (one,) = read_pool(pool, [SetConfig("set", **config)])
        return set(np.unique(one.images[0].classes.class_map).tolist()), [
            value for value, _ in one.contexts
        ]

    assert read() == ({0, 1, 11}, [1, 11])
    assert read(background=None, ignore=(11,)) == ({1, 2, IGNORE}, [1, 2])
    assert read(background=1) == ({0, 1, 12}, [1, 12])
    assert read(binary=True) == ({0}, [])
    (few,) = read_pool(pool, [SetConfig("set", most=2)])
    assert len(few.images) == 2


@pytest.mark.parametrize("names", [("dog_1", "dog_2", "cat_1", "cat_2"), ("d/1", "d/2", "e/1")])
def test_video_contexts_stay_within_a_sequence(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_set(tmp_path / "set", names)
    (video,) = read_pool(tmp_path, [SetConfig("set", video=True, ignore=(11,))])
    groups = [(0, 1), (2, 3)] if len(names) == 4 else [(0, 1)]
    assert [who for _, who in video.contexts] == groups


def test_images_without_masks_give_samples(tmp_path: Path) -> None:
    write_set(tmp_path / "set", ("a",), masks=False)
    sets = read_pool(tmp_path, [SetConfig("set")])
    samples = PairDataset(sets, 32, 8, Mix(generated=0.0, instances=0.5), seed=0)
    items = [samples[i] for i in range(12)]
    assert {int(item["seg_type"]) for item in items} == {0, 1}
    assert sum(bool(item["target"].any()) for item in items) > 8


def test_instance_masks_beside_the_masks_give_instance_samples(pool: Path) -> None:
    (pool / "set" / "instances").mkdir()
    instances = np.zeros((40, 60), np.uint8)
    instances[10:20, 5:25], instances[25:35, 5:25] = 1, 2
    for name in "abc":
        cv2.imwrite(str(pool / "set" / "instances" / f"{name}.png"), instances)
    sets = read_pool(pool, [SetConfig("set")])
    assert sets[0].with_instances == (0, 1, 2)
    samples = PairDataset(sets, 32, 8, Mix(generated=0.0, instances=1.0, unlabelled=0.0), seed=0)
    assert {int(samples[i]["seg_type"]) for i in range(4)} == {1}


def test_a_packed_pool_equals_its_folder(pool: Path, tmp_path: Path) -> None:
    """Same labels, nearly the same images, and files that do not depend on when they were made."""
    sets = [SetConfig("set", background=None, ignore=(11,))]
    packed = pack(pool, sets, tmp_path / "pool.zip", quality=100)
    assert packed.images == 3
    pack(pool, sets, tmp_path / "again.zip", quality=100)
    assert (tmp_path / "pool.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    (folder,), (file,) = read_pool(pool, sets), read_pool(tmp_path / "pool.zip", sets)
    assert folder.contexts == file.contexts
    for one, other in zip(folder.images, file.images, strict=True):
        assert np.array_equal(one.classes.class_map, other.classes.class_map)
        difference = one.images[0].astype(int) - other.images[0]
        assert np.abs(difference).mean() < 12  # chroma is sub-sampled
    again = pack(tmp_path / "pool.zip", sets, tmp_path / "third.zip")
    assert again.images == 3
    (third,) = read_pool(tmp_path / "third.zip", sets)
    assert np.array_equal(third.images[0].images[0], file.images[0].images[0])  # no second JPEG


def test_wrong_pools_are_one_clear_error(pool: Path, tmp_path: Path) -> None:
    sets = [SetConfig("set")]
    pack(pool, sets, tmp_path / "pool.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as other:
        other.writestr(MANIFEST, "[]")
    packed = (tmp_path / "list.zip").read_bytes()
    # Flag bit 0, in both headers: encrypted. zipfile cannot write such a file itself.
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = packed.index(mark) + offset
        packed = packed[:place] + bytes([packed[place] | 1]) + packed[place + 1 :]
    (tmp_path / "locked.zip").write_bytes(packed)
    wrong = [
        (tmp_path / "list.zip", sets, "no packed pool"),
        (tmp_path / "locked.zip", sets, "no packed pool"),
        (tmp_path / "nowhere", sets, "no such folder"),
        (tmp_path / "text.zip", sets, "no packed pool"),
        (tmp_path / "pool.zip", [SetConfig("other")], "there are set"),
        (tmp_path / "pool.zip", [SetConfig("set", background=None)], "other background"),
        (pool, [SetConfig("missing")], "no images/"),
        (pool, [SetConfig("set", annotations="none.json")], "none.json"),
    ]
    for path, asked, complaint in wrong:
        with pytest.raises(InputError, match=complaint):
            read_pool(path, asked)
    (pool / "set" / "masks" / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png: missing"):
        read_pool(pool, sets)
    cv2.imwrite(str(pool / "set" / "masks" / "b.png"), np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match="size of its image"):
        read_pool(pool, sets)


@pytest.mark.parametrize(("mode", "bits"), [("P", 8), ("P", 4), ("P", 2), ("P", 1), ("L", 8)])
def test_masks_keep_their_indices(tmp_path: Path, mode: str, bits: int) -> None:
    """Whatever the depth, what Pillow wrote as indices is read as indices."""
    values = np.random.default_rng(0).integers(0, 2**bits, (13, 21)).astype(np.uint8)
    image = Image.fromarray(values, "L") if mode == "L" else Image.new("P", (21, 13))
    if mode == "P":
        image.putdata(values.ravel().tolist())
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    image.save(tmp_path / "mask.png", bits=bits)
    encoded = (tmp_path / "mask.png").read_bytes()
    assert encoded[24] == bits
    assert np.array_equal(decode_indices(encoded), values)


@pytest.mark.parametrize("encoded", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_mask_is_none(encoded: bytes) -> None:
    assert decode_indices(encoded) is None


def test_commands_pack_and_draw(pool: Path, tmp_path: Path, capsys) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "backbone: {canvas: 16, patch: 8, dim: 16, depth: 2, heads: 2, merge_block: 0, "
        "taps: [0, 1], decoder_dim: 4, pretrain_canvas: 16}\n"
        "sets: [{name: set, ignore: [11]}]\n"
    )
    common = ["--recipe", str(recipe), "--data"]
    file, sheet = tmp_path / "pool.zip", tmp_path / "sheet.png"
    main(["pack", *common, str(pool), "--output", str(file)])
    assert "3 images" in capsys.readouterr().out
    main(["sheet", *common, str(file), "--output", str(sheet), "--count", "4"])
    drawn = cv2.imread(str(sheet))
    assert drawn.shape[0] == 2 * (16 * 8 + 4)
    assert not list(tmp_path.glob(".*"))
    torch.testing.assert_close(drawn.shape[1] % 3, 0)
