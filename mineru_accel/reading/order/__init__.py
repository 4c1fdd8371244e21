"""Reading order of the regions of a page."""
