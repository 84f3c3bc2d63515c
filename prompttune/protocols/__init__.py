"""Public benchmarks under the rules of their owners: sets, episodes, metrics, and a runner."""
