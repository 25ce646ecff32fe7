"""Use of trained systems: similar items, and vectors for other programs."""
