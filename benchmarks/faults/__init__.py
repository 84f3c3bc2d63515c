"""Kills, full disks, lost permissions, damaged files: what is left after them."""
