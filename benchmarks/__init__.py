"""Measurements that are run by hand; see the docstring of each module for the command."""
