"""Embedding tables larger than a device: each process has some of their columns."""
