"""Rows of a feature matrix: how they are read, which are usable, which are equal."""
