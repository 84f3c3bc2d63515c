"""Scenes drawn in batches by tensor operations, where the network that learns from them runs.

`prompttune.synthetic.scenes` draws them one by one; why there are two ways is measured by
`python -m benchmarks.scenes` and said in `prompttune.synthetic`.
"""
