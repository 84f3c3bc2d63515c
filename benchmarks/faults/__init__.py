"""Kills, full disks, lost permissions and damaged files: what is left, and what going on makes of it."""
