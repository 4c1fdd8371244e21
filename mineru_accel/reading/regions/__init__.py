"""Corrections of detected regions by their text: headings, footnotes, lists, running heads."""
