"""Training samples made in batches where the network runs.

This is a second generator beside `prompttune.synthetic`, and both are needed. That one draws single
scenes on a CPU by OpenCV, with things that are numbered one by one: the images of the suite, the
generated starts of tuning, and the samples of the recipe for a CPU. This one draws whole batches by
tensor operations, so that a GPU does not wait for its samples; the recipe of the shipped backbone
uses it. What both draw is alike in kind, not in pixels: to give up either would change the backbone
that is trained, or the scores that are compared.
"""

from prompttune.pretraining.on_device.contexts import ContextTasks
from prompttune.pretraining.on_device.tasks import DeviceTasks

__all__ = ["ContextTasks", "DeviceTasks"]
