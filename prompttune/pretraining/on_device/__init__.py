"""Training samples made in batches where the network runs."""

from prompttune.pretraining.on_device.contexts import ContextTasks
from prompttune.pretraining.on_device.tasks import DeviceTasks

__all__ = ["ContextTasks", "DeviceTasks"]
