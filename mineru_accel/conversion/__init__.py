"""A run: the scheduler that moves pages through their stages, and all that it decides, starts and counts."""
