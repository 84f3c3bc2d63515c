"""Images and masks as people keep them: found, understood, read, split, and cut into crops."""
