"""Negatives, scores of unseen items, and ranking metrics."""
