"""What was counted is in the text."""

from prompttune.serve.metrics import Metrics


def value(metrics: Metrics, start: str) -> float:
    (line,) = (one for one in metrics.text().decode().splitlines() if one.startswith(start))
    return float(line.split()[-1])


def test_counts_are_those_of_one_server() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.saw_batch(windows=5, requests=2, seconds=0.25)
    metrics.saw_batch(windows=3, requests=1, seconds=0.5)
    for status in (200, 200, 404):
        metrics.saw_request("/v1/segment", status, 0.1)
    metrics.saw_client_go()
    metrics.set_queue(7)
    assert value(metrics, "prompttune_batch_windows_sum") == 8
    assert value(metrics, "prompttune_batch_requests_count") == 2
    assert value(metrics, "prompttune_network_seconds_total") == 0.75
    assert value(metrics, 'prompttune_requests_total{route="/v1/segment",status="200"}') == 2
    assert value(metrics, "prompttune_cancelled_total") == 1
    assert value(metrics, "prompttune_queue ") == 7
    assert value(other, "prompttune_batch_windows_sum") == 0
