"""Training a backbone by in-context coloring (SegGPT, section 3.1)."""
