"""Jobs of worker processes on a cluster, beside those of the local pipeline."""

from __future__ import annotations

from ..pdf.types import DocumentInfo


def known(pages: int, digest: str) -> DocumentInfo:
    """Information about a document that was inspected when it was opened."""
    return DocumentInfo([(0.0, 0.0)] * pages, digest)
