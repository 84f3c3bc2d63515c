"""Which files a prediction reads and writes."""

from pathlib import Path

import pytest
from PIL import Image

from prompttune.outputs.paths import (
    find_images,
    instances_path,
    is_done,
    name_outputs,
    overlay_path,
)
from prompttune.utils.errors import InputError
from prompttune.utils.io import whole_file


def test_an_image_named_twice_counts_once(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "c.tif"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    again = tmp_path / ".." / tmp_path.name / "c.tif"
    found = find_images([tmp_path / "b.jpg", tmp_path, again])
    assert [path.name for path in found] == ["b.jpg", "a.png", "c.tif"]


def test_outputs_never_replace_other_outputs_or_inputs(tmp_path: Path) -> None:
    names = name_outputs([Path("x/a.jpg"), Path("x/b.jpg")], tmp_path)
    assert names == {Path("x/a.jpg"): tmp_path / "a.png", Path("x/b.jpg"): tmp_path / "b.png"}
    with pytest.raises(InputError, match=r"would both be written to .*a_overlay\.png"):
        name_outputs([Path("a.png"), Path("a_overlay.png")], tmp_path)
    with pytest.raises(InputError, match="written over an input"):
        name_outputs([tmp_path / "a.png"], tmp_path / ".." / tmp_path.name)
    with pytest.raises(InputError, match="written over an input"):
        name_outputs([Path("eye.jpg")], tmp_path, kept=[tmp_path / "eye.png"])


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images in this folder"):
        find_images([tmp_path])


def test_an_image_is_done_when_all_its_results_are_there(tmp_path: Path) -> None:
    mask = tmp_path / "a.png"
    for path, done, with_instances in (
        (mask, False, False),
        (overlay_path(mask), True, False),
        (instances_path(mask), True, True),
    ):
        path.touch()
        assert is_done(mask, instances=False) is done
        assert is_done(mask, instances=True) is with_instances


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with whole_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"two", "not bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    for name in ("again", "too"):  # two of them: 2 ** 40 ways through, if they were followed
        (folder / name).symlink_to(folder)
    (folder / "self.png").symlink_to(folder / "self.png")
    found = find_images([folder])
    assert [path.name for path in found] == ["a.png", "self.png"]
    assert name_outputs(found, tmp_path / "out").keys() == set(found)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="loop: is a link that leads to nothing"):
        name_outputs(found, tmp_path / "loop")
