"""Scenes drawn in batches by tensor operations, where the network that learns from them runs."""
