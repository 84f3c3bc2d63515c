"""Generated scenes, one at a time, on the CPU."""
