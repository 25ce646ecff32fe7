"""Files of item graphs: what they hold, how they are checked, read and written."""
