"""The papers' experiments, a file per kind."""
