"""Long builds: the plan, who does the blocks, and the folder they are kept in."""
