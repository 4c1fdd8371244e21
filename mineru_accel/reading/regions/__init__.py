"""Regions put right and told apart by what stands in them: headings, notes, lists, running heads."""
