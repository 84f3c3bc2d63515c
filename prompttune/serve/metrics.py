"""What the server counts, in Prometheus' text format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counts of one server; each has its own registry, so that several can live in a process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "prompttune_requests",
            "Requests that were answered, by route and status.",
            ("route", "status"),
            registry=registry,
        )
        self._latency = Histogram(
            "prompttune_request_seconds",
            "Seconds from a request to its answer.",
            ("route",),
            buckets=LATENCIES,
            registry=registry,
        )
        self._windows = Histogram(
            "prompttune_batch_windows",
            "Windows of a batch that the network answered.",
            buckets=SIZES,
            registry=registry,
        )
        self._sharing = Histogram(
            "prompttune_batch_requests",
            "Requests that shared a batch.",
            buckets=SIZES,
            registry=registry,
        )
        self._network = Counter(
            "prompttune_network_seconds",
            "Seconds that the network computed.",
            registry=registry,
        )
        self._queue = Gauge(
            "prompttune_queue",
            "Requests that are being answered or wait for it.",
            registry=registry,
        )
        self._gone = Counter(
            "prompttune_cancelled",
            "Requests whose client had gone before the answer.",
            registry=registry,
        )

    def saw_batch(self, windows: int, requests: int, seconds: float) -> None:
        """Count a batch of the network."""
        self._windows.observe(windows)
        self._sharing.observe(requests)
        self._network.inc(seconds)

    def saw_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def saw_client_go(self) -> None:
        """Count a request whose client had gone."""
        self._gone.inc()

    def set_queue(self, length: int) -> None:
        """Say how many requests are being answered or wait."""
        self._queue.set(length)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
