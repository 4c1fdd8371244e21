"""The text of a region: lines from characters, accents, scripts, styles."""
