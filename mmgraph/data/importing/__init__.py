"""Import: messy tables and the layouts of other libraries, and what was left out."""
