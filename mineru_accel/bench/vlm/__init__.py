"""Benchmarks of the VLM's engine."""
