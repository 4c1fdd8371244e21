"""Everything that opens, reads or renders a PDF. pdfium is not thread-safe: this runs in worker processes only."""
