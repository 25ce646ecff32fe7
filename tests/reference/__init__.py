"""The papers' equations once more, dense and in loops, for tests to compare with."""
