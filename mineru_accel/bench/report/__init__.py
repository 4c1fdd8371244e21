"""What every benchmark writes: JSON, Markdown, plots."""
