"""From blocks to files: the one place that knows MinerU's types and renderers, and the writer."""
