"""Scores as the owners of the sets compute them."""
