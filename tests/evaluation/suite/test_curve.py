"""Learning curves."""

from suite_scores import content as content

from prompttune.evaluation.suite.curve import CSV, PNG, write_curve


def test_a_curve_is_ordered_by_samples(content, tmp_path):
    write_curve(tmp_path, content)
    lines = (tmp_path / CSV).read_text().splitlines()
    assert lines[1] == "1000,early,cracks,one-shot,0.1,0.01"
    assert lines[3] == "100000,late,cracks,one-shot,0.5,0.01"
    assert (tmp_path / PNG).read_bytes().startswith(b"\x89PNG")
