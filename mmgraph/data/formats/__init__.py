"""File formats: readers and writers of interactions and features."""
