"""Conversions compared with a ground truth."""
