"""Whole runs of the command on miniature sets, with networks of 16 pixels."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import miniatures
import numpy as np
import pytest
from command_lines import check_waits_for_no_other
from miniatures import MAKE
from PIL import Image
from protocol_networks import ONE_WAY, key_of, random_network

from prompttune.backbone.weights import save_weights
from prompttune.cli import benchmark
from prompttune.cli.commandline import run
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.layout import read_rgb
from prompttune.protocols.protocol import Options
from prompttune.protocols.registry import NAMES, find_protocol
from prompttune.protocols.runner import Run, duration, run_benchmark
from prompttune.utils.errors import InputError


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "small.safetensors"
    save_weights(random_network(ONE_WAY), path)
    return path


def words(name: str, data: Path, output: Path, backbone: Path, *more: str) -> list[str]:
    given = [name, "--data", str(data), "--output", str(output), "--backbone", str(backbone)]
    return [*given, *more]


@pytest.mark.parametrize("name", sorted({*MAKE} - {"coco-panoptic"}))
def test_each_benchmark_runs(name: str, tmp_path: Path, backbone: Path, capsys) -> None:
    data, output = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    MAKE[name](data)
    assert benchmark.main(words(name, data, output, backbone, "--limit", "5")) == 0
    content = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert content["benchmark"] == name
    assert content["seen in training"] == "unknown"
    submitted = name in ("mose", "youtube-vos-2018")
    assert bool(content["scores"]) != submitted
    assert all(0 <= value <= 1 for value in content["scores"].values())
    for picture in content["pictures"]:
        with Image.open(output / picture["file"]) as image:
            assert image.mode == "RGB"
    text = (output / "results.md").read_text(encoding="utf-8")
    assert "seen in training: unknown" in text
    assert "left" in capsys.readouterr().err, "how long it will take"


def test_all_names_are_known() -> None:
    assert set(MAKE) == set(NAMES)
    for name in NAMES:
        protocol = find_protocol(name)
        assert protocol.name == name
        assert protocol.home
        assert protocol.terms
        assert protocol.how
    with pytest.raises(InputError, match="Did you mean 'pascal-5i'"):
        find_protocol("pascal5i")


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, backbone: Path, monkeypatch) -> None:
    from prompttune.protocols import episodes

    data = tmp_path / "data"
    miniatures.pascal_5i(data)
    line = words("pascal-5i", data, tmp_path / "whole", backbone, "--limit", "40")
    benchmark.main(line)
    answered = episodes.Episodes.run
    count = []

    def stopped(self, cases, output):
        count.extend(cases)
        if len(count) > 24:
            raise KeyboardInterrupt
        yield from answered(self, cases, output)

    line = words("pascal-5i", data, tmp_path / "parts", backbone, "--limit", "40")
    monkeypatch.setattr(episodes.Episodes, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        benchmark.main(line)
    with (tmp_path / "parts/outcomes.jsonl").open("a", encoding="utf-8") as file:
        file.write('["cut sho')
    count.clear()
    benchmark.main(line)
    assert len(count) == 16, "24 were answered before"
    whole, parts = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "parts")
    )
    assert whole["scores"] == parts["scores"]
    assert whole["pictures"] == parts["pictures"]


def test_a_folder_of_another_run_is_refused(tmp_path: Path, backbone: Path, monkeypatch) -> None:
    data, output = tmp_path / "data", tmp_path / "out"
    miniatures.pascal_5i(data)
    line = words("pascal-5i", data, output, backbone, "--limit", "3")
    check_waits_for_no_other(lambda: benchmark.main(line), output, monkeypatch)


def test_another_run_is_not_mixed_in(tmp_path: Path, backbone: Path) -> None:
    data = tmp_path / "data"
    miniatures.pascal_5i(data)
    benchmark.main(words("pascal-5i", data, tmp_path / "out", backbone, "--limit", "3"))
    with pytest.raises(InputError, match="begun with other fold, shots"):
        benchmark.main(
            words("pascal-5i", data, tmp_path / "out", backbone, "--shots", "5", "--fold", "1")
        )
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no earlier run"):
        benchmark.main(words("pascal-5i", data, other, backbone))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--fold", "4"], "has folds 0 to 3"),
        (["--prompt", "retina"], "answered by its own examples"),
        (["--shots", "0"], "no whole number"),
        (["--memory_frames", "-1"], "--memory_frames -1"),
    ],
)
def test_what_a_protocol_does_not_have(
    more: list[str], said: str, tmp_path: Path, backbone: Path, capsys
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(
            lambda: benchmark.main(words("pascal-5i", tmp_path, tmp_path / "o", backbone, *more)),
            benchmark.PROG,
        )
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()


def keys_that_do_not_fit(name: str, fingerprint: str) -> dict[str, Prompt]:
    """Return keys by what is said of them."""
    own = "person" if name == "coco-panoptic" else "vessel"
    told = "one key of COCO's" if name == "coco-panoptic" else "tells instances of cell apart"
    other = "'nothing' is none" if name == "coco-panoptic" else "does not have, such as nothing;"
    return {
        told: key_of(("cell 1", "cell 2"), fingerprint, seg_type=1, instance_of="cell"),
        other: key_of(("nothing",), fingerprint),
        "learned on the backbone with fingerprint 000000000000": key_of((own,), "0" * 64),
    }


KEYED = ("drive", "chase", "stare", "hrf", "ade20k", "loveda", "coco-panoptic")


@pytest.mark.parametrize("name", KEYED)
def test_a_key_that_does_not_fit_is_refused_before_an_image_is_read(
    name: str, tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    MAKE[name](tmp_path / "data")
    monkeypatch.setattr("prompttune.protocols.layout._opened", lambda path: pytest.fail("read"))
    for told, key in keys_that_do_not_fit(name, segmenter.network.fingerprint).items():
        options = Options(prompts=(key,))
        wanted = Run(find_protocol(name), tmp_path / "data", tmp_path / "out", options)
        with pytest.raises(InputError) as caught:
            run_benchmark(wanted, segmenter)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()


def test_keys_are_asked_of_those_that_take_them() -> None:
    assert {name for name in NAMES if find_protocol(name).takes_key != "no"} == set(KEYED)


@pytest.mark.parametrize("name", ["drive", "stare", "ade20k", "loveda"])
def test_a_key_answers(name: str, tmp_path: Path, segmenter: Segmenter) -> None:
    MAKE[name](tmp_path / "data")
    classes = {
        "drive": ("vessel",),
        "stare": ("vessel",),
        "ade20k": ("thing2", "thing1"),
        "loveda": ("building", "forest"),
    }[name]
    options = Options(prompts=(key_of(classes, segmenter.network.fingerprint),))
    wanted = Run(find_protocol(name), tmp_path / "data", tmp_path / "out", options)
    content = run_benchmark(wanted, segmenter)
    assert content["scores"]["mIoU"] >= 0
    again = replace(options.prompts[0], threshold=0.25)
    with pytest.raises(InputError, match="begun with other prompts"):
        run_benchmark(replace(wanted, options=Options(prompts=(again,))), segmenter)


def test_panoptic_of_two_keys(tmp_path: Path, segmenter: Segmenter, capsys) -> None:
    data, print_ = tmp_path / "data", segmenter.network.fingerprint
    miniatures.coco_panoptic(data)
    semantic = key_of(("person", "car", "grass"), print_)
    instances = key_of(("object 1", "object 2"), print_, seg_type=1, instance_of="object")
    protocol = find_protocol("coco-panoptic")
    for number, prompts in enumerate([(semantic,), (semantic, instances)]):
        output = tmp_path / f"out{number}"
        content = run_benchmark(Run(protocol, data, output, Options(prompts=prompts)), segmenter)
        assert {"PQ", "PQ things", "PQ stuff", "SQ", "RQ"} <= set(content["scores"])
        assert "left" in capsys.readouterr().err, "how long it will take"
        results = json.loads((output / "panoptic.json").read_text())
        for one in results["annotations"]:
            with Image.open(output / "panoptic" / one["file_name"]) as image:
                colors = np.asarray(image).astype(int)
            numbers = set(np.unique(colors[..., 0] + 256 * colors[..., 1])) - {0}
            assert numbers == {each["id"] for each in one["segments_info"]}
    with pytest.raises(InputError, match="needs a tuned key"):
        run_benchmark(Run(protocol, data, tmp_path / "o", Options()), segmenter)
    path = data / "annotations/panoptic_val2017.json"
    path.write_text(path.read_text().replace("000000000139.png", "COCO_val2014_000000000139.png"))
    with pytest.raises(InputError, match="of another year"):
        protocol.open(data, segmenter, Options(prompts=(semantic,)))


def test_a_submission_holds_each_frame(tmp_path: Path, segmenter: Segmenter) -> None:
    data = tmp_path / "data"
    miniatures.youtube_vos(data)
    protocol = find_protocol("youtube-vos-2018")
    content = run_benchmark(Run(protocol, data, tmp_path / "out", Options()), segmenter)
    assert content["submission"] == "submission.zip"
    with zipfile.ZipFile(tmp_path / "out/submission.zip") as archive:
        assert len(archive.namelist()) == 12
        with archive.open("Annotations/003234408d/00010.png") as file, Image.open(file) as image:
            found = np.asarray(image)
            assert image.mode == "P"
    given = data / "valid/Annotations/003234408d/00010.png"
    shown = np.asarray(Image.open(given)) == 2
    assert (found[shown] == 2).all(), "the mask that is given stands in the answer"


def test_each_frame_is_decoded_once(tmp_path: Path, segmenter: Segmenter, monkeypatch) -> None:
    from prompttune.protocols import videos

    read: list[Path] = []

    def counted(path: Path) -> np.ndarray:
        read.append(path)
        return read_rgb(path)

    monkeypatch.setattr(videos, "read_rgb", counted)
    miniatures.youtube_vos(tmp_path)  # the second object appears later: two trackers
    opened = find_protocol("youtube-vos-2018").open(tmp_path, segmenter, Options())
    list(opened.run(opened.cases, tmp_path / "out"))
    assert len(read) == len(set(read)) == 12


def test_late_objects_are_scored_where_truth_is_known(tmp_path: Path, segmenter: Segmenter) -> None:
    data = tmp_path / "data"
    miniatures.youtube_vos(data, dense=True)
    protocol = find_protocol("youtube-vos-2018")
    run_ = Run(protocol, data, tmp_path / "out", Options())
    content = run_benchmark(run_, segmenter)
    assert {"G", "J seen", "F seen", "J unseen", "F unseen"} <= set(content["scores"])
    outcomes = (tmp_path / "out/outcomes.jsonl").read_text().splitlines()[1:]
    for _, outcome in map(json.loads, outcomes):
        assert outcome["objects"]["1"]["frames"][0] == "00005"
        assert outcome["objects"]["2"]["frames"][0] == "00015", "it appears in frame 10"
    meta = data / "valid/meta.json"
    meta.write_text(meta.read_text().replace("0062f687f1", "ffffffffff"))
    with pytest.raises(InputError, match="does not fit JPEGImages"):
        protocol.open(data, segmenter, Options())


def test_seen_in_training_is_said() -> None:
    from prompttune.backbone import load
    from prompttune.protocols.report import SEQUENCES, card_sets, seen_in_training

    network = load("seggpt-small")
    sets = card_sets(network)
    assert sets is not None
    assert len(sets) == 56
    assert seen_in_training("pascal-5i", network, []) == "yes"
    assert seen_in_training("coco-20i", network, []) == "yes"
    assert seen_in_training("drive", network, []) == "no"
    assert seen_in_training("davis-2016", network, ["blackswan"]) == "no"
    assert seen_in_training("davis-2016", network, ["blackswan", SEQUENCES[0]]) == "yes"


def test_the_old_name_of_an_option_is_taken_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = ["davis-2017", "--data", "D", "--output", "O"]
    assert benchmark.parse([*line, "--memory", "3"]).memory_frames == 3
    assert "--memory is called --memory_frames now" in caplog.text
    caplog.clear()
    assert benchmark.parse([*line, "--memory_frames", "3"]).memory_frames == 3
    assert not caplog.text


def test_time_is_told() -> None:
    assert [duration(s) for s in (20, 600, 7200)] == ["20 s", "10 min", "2.0 h"]
