"""Keys to test with."""

from key_fixtures import forge, key, make, own, shipped  # noqa: F401
