"""Reports as single HTML files, and the figures in them."""
