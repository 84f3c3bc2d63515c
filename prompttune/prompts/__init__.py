"""Prompts: colored examples and learned keys, alone, joined, and composed."""
