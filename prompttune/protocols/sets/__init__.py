"""Adapters, each reads public sets as their owners distribute them."""
