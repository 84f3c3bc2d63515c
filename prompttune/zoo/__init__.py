"""Keys that are kept: where they lie, finding them by name, and a gallery of them."""
