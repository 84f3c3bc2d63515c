"""Training samples made in batches where the network runs, so that a GPU does not wait for them.

Their scenes are those of `prompttune.synthetic.batched`; `prompttune.synthetic` says why there is
another way to draw scenes.
"""

from prompttune.pretraining.on_device.contexts import ContextTasks
from prompttune.pretraining.on_device.tasks import DeviceTasks

__all__ = ["ContextTasks", "DeviceTasks"]
