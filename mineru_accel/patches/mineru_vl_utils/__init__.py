"""Patches of mineru-vl-utils."""
