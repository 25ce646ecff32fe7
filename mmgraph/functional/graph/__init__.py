"""Graphs as matrices: the adjacency, its weights, and functions of edges."""
