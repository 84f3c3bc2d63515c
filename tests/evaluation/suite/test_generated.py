"""Generated problems are always the same, and show their class in all images."""

import numpy as np

from prompttune.evaluation.suite.generated import (
    MAX_SHARE,
    MIN_SHARE,
    ROW_COUNT,
    generated_problems,
)


def test_problems_are_the_same_each_time_and_show_their_class() -> None:
    problems, again = generated_problems(32), generated_problems(32)
    assert len(problems) == ROW_COUNT
    assert list(problems) == list(again)
    for name, problem in problems.items():
        samples = [*problem.train, *problem.validation, *problem.test]
        others = [*again[name].train, *again[name].validation, *again[name].test]
        assert [len(problem.train), len(problem.validation), len(problem.test)] == [1, 2, 1]
        for one, other in zip(samples, others, strict=True):
            assert np.array_equal(one.image, other.image)
            assert set(np.unique(one.class_map)) <= {0, 1}
        if name != "generated fundus":
            assert all(MIN_SHARE < one.class_map.mean() < MAX_SHARE for one in samples)
