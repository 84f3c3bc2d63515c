"""Samples to cut crops from."""

CANVAS = 32
