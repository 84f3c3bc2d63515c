"""Segmenting images with a prompt: windows, flips, scales, and the choice of examples."""
