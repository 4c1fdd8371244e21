"""The report of a document, ``{name}_report.json``: its result and that of each page."""

from __future__ import annotations

from typing import Any

from ..document import DocumentResult, PageResult, PageStatus
from ..export.types import Written
from ..storage.fingerprint import Fingerprint
from ..version import __version__
from .plan import Plan


def document_report(
    result: DocumentResult, source: str, written: Written, plan: Plan, made_from: Fingerprint
) -> dict[str, Any]:
    """The fields before those of the pages; see :func:`mineru_accel.storage.report.write_report`."""
    counts = {str(s): sum(p.status is s for p in result.pages) for s in PageStatus}
    return {
        "source": source,
        "fingerprint": made_from,
        "backend": result.backend,
        "layout": result.layout,
        "plan": plan.reason,
        "version": __version__,
        "seconds": round(result.seconds, 3),
        "pages": len(result.pages),
        "status": {k: v for k, v in counts.items() if v},
        "files": written.files,
        "failed_formats": written.failed_formats,
    }


def page_report(page: PageResult) -> dict[str, Any]:
    """A page's entry in ``page_results``."""
    return {
        "page_idx": page.index,
        "status": str(page.status),
        "error": page.error,
        "why_ocr": page.why_ocr,
        **({"turned": page.turned} if page.turned else {}),
        "regions": page.regions,
        "sources": page.sources,
        **({"reasons": page.reasons} if any(page.reasons) else {}),
        "warnings": page.warnings,
        **({"words": page.words} if page.words else {}),
        "timings": page.timings,
    }


def pages_of(report: dict[str, Any]) -> list[PageResult]:
    """The pages of an earlier run's report."""
    fields = ("error", "regions", "sources", "reasons", "warnings", "timings", "why_ocr", "turned", "words")
    return [
        PageResult(p["page_idx"], PageStatus(p["status"]), **{f: p[f] for f in fields if f in p})
        for p in report.get("page_results", [])
    ]
