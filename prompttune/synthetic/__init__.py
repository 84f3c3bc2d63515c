"""Images that nobody took, with exact masks: fundus photographs, and scenes of many families.

Scenes are drawn in two ways. `scenes` draws one at a time by OpenCV and numbers its things, up to
250: for the generated images of the suite, the generated starts of tuning, and the samples of the
recipe for a CPU. `batched` draws whole batches by tensor operations, without leaving the device:
for the recipe of the shipped backbone. Neither can stand in for the other. `batched` counts no
more than nine things, and `scenes` cannot run on a GPU. Of the CPU time of one core, a scene of
128 x 128 pixels takes `scenes` 2.8 ms and `batched` 5.9 ms; of 32 x 32 pixels, 1.2 and 1.0 ms
(`python -m benchmarks.scenes`). The 40,960 scenes of the shipped backbone would keep a core busy
for two minutes before a training of seven. And each pixel of either is pinned: the starts of keys
and the scores of the suite by the one, the shipped backbone by the other.
"""
