"""Numbers that every room reads alike."""

IGNORE = 255
"""The value of pixels in a class map that do not count: not trained on, not scored, not shown."""
