"""Commands that use a trained system."""
