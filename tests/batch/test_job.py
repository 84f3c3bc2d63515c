"""Lists of images and the parts of a run, without Ray."""

import json
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from predicting import backbone as backbone

from prompttune.batch.job import RUN, Job, find_inputs, read_list
from prompttune.batch.worker import Work, Worker, run_lengths
from prompttune.data.annotations.outlines import decode_runs
from prompttune.inference.result import Result
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


def picture(path: Path, seed: int, size: tuple[int, int] = (20, 17)) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def prompt() -> Prompt:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    mask = np.kron(np.array([[0, 1], [2, 0]]), np.ones((8, 8), int)).astype(np.uint8)
    return Prompt.from_examples([(image, mask)], scale=1.0, canvas=16)


def test_inputs_are_files_folders_patterns_and_urls(tmp_path: Path) -> None:
    names = [
        picture(tmp_path / name, i) for i, name in enumerate(["b/2.png", "b/c/1.jpg", "a.png"])
    ]
    (tmp_path / "b" / "notes.txt").write_text("x")
    (tmp_path / "b" / ".hidden.png").write_text("x")
    assert list(find_inputs([str(tmp_path)])) == sorted(names)
    assert list(find_inputs([names[2], f"{tmp_path}/b/*"])) == [names[2], names[0]]
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/in/x.png", Path(names[0]).read_bytes())
    assert list(find_inputs(["memory://in"])) == ["memory:///in/x.png"]
    for place in (str(tmp_path / "none"), str(tmp_path / "b" / "*.tif")):
        with pytest.raises(InputError, match=r"no such file or folder|holds no images"):
            list(find_inputs([place]))
    with pytest.raises(InputError, match="nonsense://x"):
        list(find_inputs(["nonsense://x"]))


def test_lists_have_a_path_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where workers do not stand
    (tmp_path / "list.txt").write_text("a.png\n\n s3://b/c.png \n")
    assert list(read_list(str(tmp_path / "list.txt"))) == [
        str(tmp_path / "a.png"),
        "s3://b/c.png",
    ]
    with pytest.raises(InputError, match="no such list"):
        list(read_list(str(tmp_path / "other.txt")))


def test_a_run_goes_on_only_as_it_was_begun(tmp_path: Path) -> None:
    job, inputs = Job(str(tmp_path / "out")), [f"{i}.png" for i in range(7)]
    assert job.begin(inputs, {"scale": 1}, 3) == 3
    assert [job.open_list().paths_of(part) for part in range(3)] == [
        inputs[:3],
        inputs[3:6],
        inputs[6:],
    ]
    assert job.begin(inputs, {"scale": 1}, 3) == 3
    for other in (
        (inputs[1:], {"scale": 1}, 3),
        (inputs, {"scale": 2}, 3),
        (inputs, {"scale": 1}, 4),
    ):
        with pytest.raises(InputError, match=r"was begun with other (images|scale|part_size)"):
            job.begin(*other)
    with pytest.raises(InputError, match="no images are given"):
        Job(str(tmp_path / "empty")).begin([], {})
    assert json.loads((tmp_path / "out" / RUN).read_text()) == {"part_size": 3, "scale": 1}


def test_run_lengths_are_those_of_coco() -> None:
    from rle_oracle import slow_counts, slow_text

    classes = np.random.default_rng(1).integers(0, 3, (11, 7)).astype(np.uint8)
    classes[:, 3] = 2
    palette = Palette.of(["a", "b", "absent"])
    prompt = Prompt(images=(_zeros(),), colors=(_zeros(),), palette=palette, scale=None)
    found = run_lengths(Result(classes, np.zeros((3, 11, 7), np.float32), None, prompt))
    assert [one["class"] for one in found] == ["a", "b"]
    for one in found:
        mask = classes == one["number"]
        assert one["counts"] == slow_text(slow_counts(mask))
        assert one["area"] == mask.sum()


def _zeros():
    import torch

    return torch.zeros(3, 4, 4)


@pytest.mark.parametrize("files", [False, True])
def test_a_part_holds_what_predict_answers(backbone, prompt, tmp_path, files: bool) -> None:
    paths = [picture(tmp_path / f"{i}.png", i, (20 + i, 17)) for i in range(3)]
    (tmp_path / "bad.png").write_text("no image")
    paths[1:1] = [str(tmp_path / "bad.png"), str(tmp_path / "gone.png")]
    job = Job("memory://run" if files else str(tmp_path / "out"))
    job.begin(paths, {"files": files}, 8)
    worker = Worker(Work(job, prompt, str(backbone), files=files))
    assert worker({"part": np.array([0])})["images"].tolist() == [5]
    with job.fs.open(job.part_file(0), "rb") as file:
        rows = pq.read_table(file).to_pylist()
    assert [row["path"] for row in rows] == paths
    assert [row["error"] is None for row in rows] == [True, False, False, True, True]
    assert "gone.png" in rows[2]["error"]
    for row in (rows[0], rows[3], rows[4]):
        expected = worker.segmenter.predict(row["path"], prompt).classes
        size = row["height"], row["width"]
        found = np.zeros(size, np.uint8)
        if files:
            with job.fs.open(job.at(row["mask_file"]), "rb") as file:
                found = np.asarray(Image.open(file))
        for one in row["masks"] or ():
            found[decode_runs(one["counts"], size)] = one["number"]
        np.testing.assert_array_equal(found, expected)
    written = job.fs.modified(job.part_file(0))
    assert worker.do(0) == 5  # again: it is done
    assert job.fs.modified(job.part_file(0)) == written
    assert not [name for name in job.fs.ls(job.at(""), detail=False) if name.endswith(".tmp")]


def test_a_disk_that_is_full_is_told_and_not_raised(
    backbone, prompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(str(tmp_path / "out"))
    job.begin([picture(tmp_path / "0.png", 0)], {}, 8)
    worker = Worker(Work(job, prompt, str(backbone)))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        told = worker({"part": np.array([0])})
    assert told["images"].tolist() == [0]
    assert told["error"].tolist() == [f"{job.part_file(0)}: No space left on device"]
    assert job.missing(1) == [0]
    assert worker({"part": np.array([0])})["error"].tolist() == [""]


def test_deep_images_are_read_as_the_key_was_tuned(backbone, prompt, tmp_path: Path) -> None:
    """A stretch of 0 to 1000 makes 8 bits of 16; without it nearly all would be black."""
    import tifffile

    from prompttune.data.inputs import load_image
    from prompttune.data.reading import ImageOptions

    deep = np.random.default_rng(0).integers(0, 1000, (20, 17, 3), np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb")
    tifffile.imwrite(
        tmp_path / "stack.tif", np.zeros((3, 20, 17), np.uint8), photometric="minisblack"
    )
    paths, seen = [], []
    memory = fsspec.filesystem("memory")
    for name in ("deep.tif", "stack.tif"):
        memory.pipe_file(f"/deep/{name}", (tmp_path / name).read_bytes())
        paths += [str(tmp_path / name), f"memory://deep/{name}"]
    job, options = Job(str(tmp_path / "out")), ImageOptions.of(None, "0,1000")
    job.begin(paths, {}, 8)
    worker = Worker(Work(job, prompt, str(backbone), images=options))
    stream = worker.segmenter.stream

    def watched(images, *given, **named):
        return stream((seen.append(image) or image for image in images), *given, **named)

    worker.segmenter.stream = watched
    worker.do(0)
    expected = load_image(tmp_path / "deep.tif", options=options)
    assert 120 < expected.mean() < 135
    assert len(seen) == 2
    for pixels in seen:
        np.testing.assert_array_equal(pixels, expected)
    errors = [row["error"] for row in pq.read_table(job.part_file(0)).to_pylist()]
    assert errors[:2] == [None, None]
    assert all("has 3 pages; segment stacks without --ray" in each for each in errors[2:])


def test_the_table_says_how_far_to_trust_an_answer(backbone, prompt, tmp_path: Path) -> None:
    from dataclasses import replace

    from prompttune.reliability.calibration import Calibration, Curve

    curve = Curve(np.linspace(0, 1, 33))
    known = replace(prompt, calibration=Calibration(curve, curve, (0.1, 0.8), 4, True))
    job = Job(str(tmp_path / "out"))
    job.begin([picture(tmp_path / "a.png", 1)], {}, 8)
    worker = Worker(Work(job, known, str(backbone)))
    worker.do(0)
    (row,) = pq.read_table(job.part_file(0)).to_pylist()
    expected = worker.segmenter.predict(tmp_path / "a.png", known)
    assert row["confidence"] == pytest.approx(float(expected.confidence.mean()), abs=1e-6)
    assert row["expected_dice"] == pytest.approx(expected.expected_dice, abs=1e-6)
    assert row["in_domain"] is None  # nothing is known of its training images


@pytest.mark.parametrize("name", ["run.json", "inputs.parquet"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_run_whose_files_are_damaged_is_one_line(tmp_path: Path, name: str, share: float) -> None:
    job = Job(str(tmp_path / "run"))
    job.begin(["a.png"], {"prompt": "x"}, 4)
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"is damaged or gone.*another --output"):
        job.begin(["a.png"], {"prompt": "x"}, 4)


def test_files_of_a_local_run_appear_by_a_rename(tmp_path: Path) -> None:
    """Else a kill would leave half a mask under its name, or an empty `run.json`."""
    job = Job(str(tmp_path / "run"))
    job.write_file("masks/000000/000.png", b"one")
    path = tmp_path / "run" / "masks" / "000000" / "000.png"
    inode = path.stat().st_ino
    job.write_file("masks/000000/000.png", b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != inode
    assert [each.name for each in path.parent.iterdir()] == ["000.png"]
