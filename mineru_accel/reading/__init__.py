"""From a page and its regions to blocks: order, text, tables, pictures. Runs in worker processes."""
