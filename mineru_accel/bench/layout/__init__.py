"""Benchmarks of the layout model and its kernels."""
