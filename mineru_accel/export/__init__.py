"""From blocks to files: MinerU's types and renderers, and the writer."""
