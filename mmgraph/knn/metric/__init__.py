"""Metrics, as products of rows and as exact similarities of pairs."""
