"""The engine's answers are the segmenter's; cancelled work is dropped."""

from concurrent.futures import CancelledError

import numpy as np
import pytest
from serving import make_network, make_prompt, photo

from prompttune.inference.segmenter import Segmenter
from prompttune.serve.engine import Cancelled, Engine
from prompttune.serve.metrics import Metrics


@pytest.mark.parametrize("share", [None, False])
def test_images_of_several_sizes_get_the_segmenters_bits(share: bool | None) -> None:
    reference, metrics = Segmenter(make_network()), Metrics()
    engine = Engine(Segmenter(make_network()), metrics, share)
    try:
        prompt = make_prompt("fine", scale=1.0)
        images = [photo(size, size + 9, size) for size in (20, 41, 33)]
        jobs = [
            engine.submit(image, prompt, 0.25, number == 1) for number, image in enumerate(images)
        ]
        for number, (job, image) in enumerate(zip(jobs, images, strict=True)):
            expected = reference.predict(image, prompt, 0.25, flips=number == 1)
            assert np.array_equal(job.done.result(60).scores, expected.scores)
            assert job.network_seconds > 0
        assert b"prompttune_network_seconds_total 0.0\n" not in metrics.text()
        assert engine.call(lambda: 7).result(60) == 7
    finally:
        engine.close()


def test_what_is_cancelled_has_no_answer() -> None:
    engine = Engine(Segmenter(make_network()), share=False)
    try:
        job = engine.submit(photo(200, 200), make_prompt("fine", scale=1.0))
        engine.cancel(job)
        with pytest.raises((Cancelled, CancelledError)):
            job.done.result(60)
    finally:
        engine.close()
