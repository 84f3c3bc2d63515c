"""Keys that are kept: their format (docs/key-format.md), where they lie, and a command for them."""
