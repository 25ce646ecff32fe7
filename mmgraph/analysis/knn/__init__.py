"""What there is to say of a kNN graph: a description, and a page."""
