"""Training a backbone by in-context colouring (SegGPT, section 3.1)."""
