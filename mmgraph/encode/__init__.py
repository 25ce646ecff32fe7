"""Features from titles and pictures, by models that others trained."""
