"""Generated training samples, made in batches where the network runs."""

from prompttune.pretraining.on_device.tasks import DeviceTasks

__all__ = ["DeviceTasks"]
