"""Many images: from any file system, on many machines, into Parquet or files, and resumable."""

from typing import Any

__all__ = ["ray_predict"]


def __getattr__(name: str) -> Any:
    if name != "ray_predict":
        raise AttributeError(f"module 'prompttune.batch' has no attribute '{name}'")
    from prompttune.batch.ray_run import ray_predict

    return ray_predict
