"""Opening, reading and rendering PDFs, and OCR. pdfium is not thread-safe: only worker processes call this."""
