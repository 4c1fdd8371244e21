"""The command's lines about documents and runs."""

from __future__ import annotations

from typing import Any

from ..conversion.progress import duration
from ..document import DocumentResult, PageStatus
from ..events import RunDone

_MAX_FAILURES = 10
"""Failures listed in the summary of a run."""
_MAX_NUMBERS = 8
"""Page numbers listed in one line."""


def describe(result: DocumentResult) -> str:
    """One line about a finished document."""
    path, folder = printable(str(result.path)), printable(str(result.output_dir))
    failed = [p.index + 1 for p in result.pages if p.status is PageStatus.FAILED]
    if result.skipped:
        failures = f", {len(failed)} failed ({_numbers(failed)})" if failed else ""
        return f"{path}: {folder} is there already{failures}; --overwrite replaces it"
    if result.error and not result.files:
        return f"{path}: {result.error}"
    parts = [f"{path} -> {folder}: {len(result.pages)} page(s) in {result.seconds:.1f} s"]
    if failed:
        parts.append(f"{len(failed)} failed ({_numbers(failed)})")
    if result.error:
        parts.append(result.error)
    return "; ".join(parts)


def summary(event: RunDone) -> str:
    """A finished run: a line with its counts, one with the time by stage, and one for each of the first failures."""
    rate = f"{event.pages_per_second:.1f} pages/s"
    text = f"{event.documents} document(s), {event.pages} page(s) in {duration(event.seconds)} ({rate})"
    if event.skipped_documents:
        text += f"; {event.skipped_documents} were there already"
    if event.resumed_pages:
        text += f"; {event.resumed_pages} page(s) were done by an earlier run"
    if event.failed_documents:
        text += f"; {event.failed_documents} document(s) with failures, {event.failed_pages} page(s) failed"
    if event.stopped:
        text += f"; {event.stopped}"
    lines = [text]
    total = sum(event.stage_seconds.values())
    if total >= 1:
        shares = (f"{stage} {seconds / total:.0%}" for stage, seconds in event.stage_seconds.items())
        lines.append(f"{duration(total)} of work: {', '.join(shares)}")
    if event.ocr_pages:
        reasons = (f"{count} because {reason}" for reason, count in event.ocr_pages.items())
        lines.append(f"read by OCR: {', '.join(reasons)}")
    if event.words["seen"]:
        lines.append(_words(event.words))
    for failure in event.failures[:_MAX_FAILURES]:
        page = f", page {failure['page']}" if "page" in failure else ""
        lines.append(f"failed: {printable(failure['path'])}{page}: {failure['error']}")
    if len(event.failures) > _MAX_FAILURES:
        lines.append(f"failed: {len(event.failures) - _MAX_FAILURES} more; --summary FILE writes them all")
    return "\n".join(lines)


def _words(words: dict[str, Any]) -> str:
    """The account of a run's words."""
    parts = [f"{words['seen']} words seen: {words['written']} written, {words['furniture']} in running heads and notes"]
    parts += [f"{count} {reason}" for reason, count in words["left_out"].items()]
    parts.append(f"{words['missing']} missing, {words['invented']} written twice or not on the page")
    return ", ".join(parts)


def printable(path: str) -> str:
    """A path on one line, its control characters escaped so that a terminal does not obey them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in path)


def _numbers(pages: list[int]) -> str:
    listed = ", ".join(str(p) for p in pages[:_MAX_NUMBERS])
    return f"page {listed}" + (", ..." if len(pages) > _MAX_NUMBERS else "")
