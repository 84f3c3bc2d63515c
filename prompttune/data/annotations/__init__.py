"""Images annotated with outlines, boxes, or run lengths instead of masks."""
