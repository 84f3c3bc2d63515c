"""The file of a learned prompt: its card, header, and tensors (docs/key-format.md)."""
