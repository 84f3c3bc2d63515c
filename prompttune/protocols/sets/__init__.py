"""Adapters, one a file: each reads a public set as its owners distribute it."""
