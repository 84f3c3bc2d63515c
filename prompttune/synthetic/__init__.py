"""Images that nobody took, with exact masks: fundus photographs, and scenes of many families.

One at a time, on a CPU. `prompttune.pretraining.on_device` makes them in batches where a network is
trained, and says why there are two.
"""
