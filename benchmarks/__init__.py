"""Measurements of speed and memory, each comparing what it compares in one run."""
