"""The reports of all benchmarks: JSON, Markdown and plots."""
