"""The small task that rivals learn too."""

from squares import data  # noqa: F401
