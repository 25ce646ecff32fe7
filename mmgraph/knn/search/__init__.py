"""Searches for the nearest rows, in memory and block by block, and their backends."""
