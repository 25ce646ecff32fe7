"""Tables: how they are written, and their columns as they stand in the file."""
