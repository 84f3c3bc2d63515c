"""Sets that are not whole, damaged, or of another kind: one line says what and where."""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import miniatures
import numpy as np
import pytest
from miniatures import MAKE
from PIL import Image
from protocol_networks import key_of

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import read_foreground, read_indices, read_plain_pickle
from prompttune.protocols.protocol import Options
from prompttune.protocols.registry import NAMES, find_protocol
from prompttune.protocols.runner import Run, run_benchmark
from prompttune.protocols.sets import pascal_part
from prompttune.utils.errors import InputError

PARTS: dict[str, tuple[str, str, str]] = {
    "pascal-5i": ("JPEGImages/*", "SegmentationClassAug/*", "splits/val/fold0.txt"),
    "coco-20i": ("val2014/*", "annotations/val2014/*", "splits/val/fold0.pkl"),
    "fss-1000": ("class_*/*.jpg", "class_*/*.png", "splits/test.txt"),
    "lvis-92i": ("coco/val2017/*", "", "lvis_val.pkl"),
    "pascal-part": ("JPEGImages/*", "Annotations_Part*/*", "all_obj_part_to_image.json"),
    "paco-part": ("coco/val2017/*", "", "paco/paco_part_val.pkl"),
    "davis-2016": ("JPEGImages/480p/*/*", "Annotations/480p/*/*", "ImageSets/2016/val.txt"),
    "davis-2017": ("JPEGImages/480p/*/*", "Annotations/480p/*/*", "ImageSets/2017/val.txt"),
    "youtube-vos-2018": ("valid/JPEG*/*/*", "valid/Annotations/*/*", "valid/meta.json"),
    "mose": ("valid/JPEGImages/*/*", "valid/Annotations/*/*", ""),
    "ade20k": ("images/*/*", "annotations/*/*", "objectInfo150.txt"),
    "coco-panoptic": (
        "val2017/*", "annotations/panoptic_val2017/*", "annotations/panoptic_val2017.json",
    ),
    "drive": ("*/images/*", "*/1st_manual/*", ""),
    "chase": ("Image_???.jpg", "*_1stHO.png", ""),
    "stare": ("stare-images/*", "labels-ah/*", ""),
    "hrf": ("images/*", "manual1/*", ""),
    "isaid-5i": ("val/images/*", "val/semantic_png/*", "splits/val/fold0.txt"),
    "loveda": ("*/*/images_png/*", "*/*/masks_png/*", ""),
    "isic": ("ISIC2018_Task1-2_Training_Input/*/*", "ISIC2018_Task1_Training_Gr*/*", ""),
    "chest-xray": ("CXR_png/*", "masks/*", ""),
    "suim": ("images/*", "masks/*/*", ""),
}  # fmt: skip
"""Of each set its images, its masks if they are files, and its list if it has one."""


UNLISTED = {
    name: PARTS[name][place]
    for name, place in {
        "mose": 1, "youtube-vos-2018": 1, "chest-xray": 1, "suim": 1, "isic": 0,
    }.items()
}  # fmt: skip
"""Files of which nothing says how many there should be: fewer of them are a smaller set."""


@pytest.fixture(scope="module", params=NAMES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature set, in a folder of its name."""
    root = tmp_path_factory.mktemp("whole") / request.param
    root.mkdir()
    MAKE[request.param](root)
    return root


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that may be damaged."""
    root = tmp_path / whole.name
    shutil.copytree(whole, root)
    yield root
    shutil.rmtree(root)


def begin(root: Path, segmenter: Segmenter) -> None:
    """Run a set's first case."""
    key = key_of(("person", "car", "grass"), segmenter.network.fingerprint)
    options = Options(prompts=(key,) if root.name == "coco-panoptic" else ())
    pascal_part._objects.cache_clear()  # of the set before it was damaged
    output = root.parent / "out"
    run_benchmark(Run(find_protocol(root.name), root, output, options, limit=1), segmenter)


def refused(root: Path, segmenter: Segmenter) -> str:
    """Return the line that refuses a set: it names what is wrong, and what to do."""
    with pytest.raises(InputError) as caught:
        begin(root, segmenter)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    assert line.startswith(str(root)), "it names a file or folder of the set"
    assert any(told in line for told in ("again", "get ", "are they of", "is it")), line
    return line


def test_parts_are_told_of_all() -> None:
    assert set(PARTS) == set(NAMES)


def test_a_whole_set_is_taken(whole: Path, segmenter: Segmenter) -> None:
    begin(whole, segmenter)
    for pattern in filter(None, PARTS[whole.name]):
        assert any(whole.glob(pattern)), "or the tests below damage nothing"


def test_where_there_is_no_set_it_is_said_where_to_get_it(
    whole: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    protocol, root = find_protocol(whole.name), tmp_path / whole.name
    source = f"get {protocol.title} from {protocol.home} (terms: {protocol.terms})"
    assert source in refused(root, segmenter)
    root.mkdir()
    assert source in refused(root, segmenter), "an empty folder"
    miniatures.image(root / "holiday/beach.jpg", 1)
    assert source in refused(root, segmenter), "a folder of something else"
    shutil.rmtree(root)
    root.write_text("a file")
    assert source in refused(root, segmenter)


def test_missing_files_are_named(data: Path, segmenter: Segmenter) -> None:
    images, masks, listed = PARTS[data.name]
    for pattern in filter(None, (images, masks)):
        for step in (1,) if pattern == UNLISTED.get(data.name) else (2, 1):
            gone = {path: path.read_bytes() for path in sorted(data.glob(pattern))[::step]}
            for path in gone:
                path.unlink()
            refused(data, segmenter)
            for path, old in gone.items():
                path.write_bytes(old)
    if listed:
        (data / listed).unlink()
        assert Path(listed).name in refused(data, segmenter)
        (data / listed).mkdir()
        assert Path(listed).name in refused(data, segmenter)


def test_images_and_masks_that_cannot_be_read(data: Path, segmenter: Segmenter) -> None:
    for pattern in filter(None, PARTS[data.name][:2]):
        kept = {path: path.read_bytes() for path in data.glob(pattern)}
        for damage in (lambda old: old[: len(old) * 3 // 5], lambda old: b"hello"):
            for path, old in kept.items():
                path.write_bytes(damage(old))
            assert "can be read; copy the set again" in refused(data, segmenter)
        for path, old in kept.items():
            path.write_bytes(old)


def test_masks_of_another_size(data: Path, segmenter: Segmenter) -> None:
    for path in data.glob(PARTS[data.name][0]):  # where masks are no files, these are smaller
        with Image.open(path) as image:
            image.resize((9, 7)).save(path)
    line = refused(data, segmenter)
    if data.name == "paco-part":
        assert "outside the 9 x 7 pixels" in line
    else:
        assert "mask of 24 x 20, but its image is 9 x 7" in line or "outside the 9 x 7" in line


OTHERS: tuple[Any, ...] = (
    None, 7, "text", [], {}, [None], {"annotations": [{"id": 1}], "categories": [{"id": 1}]},
    {"videos": {"v": {"objects": [1]}}}, {"cid2img": {1: [{2: "a/b.jpg"}]}, "img2anno": {}},
    {group: {"object": {"cat": {"part": {"HEAD": 7}}}} for group in ("animals", "person")},
    {label: ["val2014/none.jpg"] for label in range(80)},
    {label: {"a.jpg": {}, "b.jpg": {}} for label in range(20)},
)  # fmt: skip


def test_lists_that_are_damaged_or_of_another_kind(data: Path, segmenter: Segmenter) -> None:
    if not PARTS[data.name][2]:
        pytest.skip("the set has no list")
    path = data / PARTS[data.name][2]
    dump: Callable[[Any], bytes] = lambda content: json.dumps(content).encode()  # noqa: E731
    if path.suffix == ".pkl":
        dump = pickle.dumps
    contents = [b"", b"\xff\xfe\x00", b"[" * 50_000, *map(dump, OTHERS)]
    if path.suffix != ".txt":
        contents.append(path.read_bytes()[: path.stat().st_size // 2])
    for content in contents:
        path.write_bytes(content)
        refused(data, segmenter)


@pytest.mark.parametrize("name", ["pascal-5i", "isaid-5i", "coco-20i"])
def test_the_list_of_another_fold(name: str, tmp_path: Path, segmenter: Segmenter) -> None:
    data = tmp_path / name
    if name == "coco-20i":
        miniatures.coco_20i(data, fold=1)
        (data / "splits/val/fold1.pkl").rename(data / "splits/val/fold0.pkl")
    else:
        MAKE[name](data)
        shutil.copy(data / "splits/val/fold1.txt", data / "splits/val/fold0.txt")
    assert "is it another fold's list?" in refused(data, segmenter)


def test_a_video_whose_name_leaves_the_folder(tmp_path: Path, segmenter: Segmenter) -> None:
    data = tmp_path / "davis-2017"
    MAKE[data.name](data)
    (data / "ImageSets/2017/val.txt").write_text("..\n")
    assert "'..' is no sequence" in refused(data, segmenter)


def test_masks_of_other_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    miniatures.save(path, np.array([[0, 1], [1, 0]], np.uint8))
    with pytest.raises(InputError, match="holds 0 and 1, not 0 and 255"):
        read_foreground(path)  # or all of it were background
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(path)
    with pytest.raises(InputError, match="holds 300, no class index"):
        read_indices(path)  # or 44, in eight bits


def test_masks_without_their_class_are_told(
    tmp_path: Path, segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "coco-20i"
    miniatures.coco_20i(data)
    for path in (data / "annotations/val2014").iterdir():
        miniatures.save(path, np.zeros(miniatures.SIZE, np.uint8))
    begin(data, segmenter)
    assert "are lists and masks of one set?" in caplog.text


def test_objects_without_pixels_do_not_draw_for_ever(tmp_path: Path, segmenter: Segmenter) -> None:
    data = tmp_path / "paco-part"
    miniatures.paco_part(data)
    path = data / "paco/paco_part_val.pkl"
    content = read_plain_pickle(path)
    for images in content["cid2img"].values():
        images[:] = [{number: "coco/val2017/one.jpg"} for number in range(3)]
    path.write_bytes(pickle.dumps(content))
    assert "Matcher published" in refused(data, segmenter)
