"""What stands in a region: from the text layer, from OCR, or only as a picture. Runs in worker processes."""
