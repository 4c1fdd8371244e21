"""The finished pages of a document, kept beside their blocks so that a killed run can be continued.

One JSON line each: first a header (source and fingerprint), then pages and parts as they are finished. A line that a
kill or a full disk has cut off is ignored, and so are those behind it. A page's line is written after its blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..document import PageResult, PageStatus
from . import page_store

Entry = dict[str, Any]


class Journal:
    """The journal of a document that is being made in ``staging``."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._fd: int | None = None

    def read(self) -> list[Entry]:
        """All lines, the header first; empty where there is no journal."""
        return list(_entries(_path(self._staging)))

    def results(self) -> dict[int, PageResult]:
        """The results of the pages, by 0-based number; of a page or part that was done again the latest."""
        pages: dict[int, PageResult] = {}
        parts: dict[int, Entry] = {}
        for entry in _entries(_path(self._staging)):
            if "page" in entry:
                pages[entry["page"]] = page_result(entry)
            elif "part" in entry:
                parts[entry["part"]] = entry["warnings"]
        for warnings in parts.values():
            add_warnings(pages, {int(index): texts for index, texts in warnings.items()})
        return pages

    def start(self, entries: Iterable[Entry]) -> None:
        """Begin with these lines, in place of an earlier journal.

        Raises:
            OSError: if they can't be written.
        """
        path = _path(self._staging)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_bytes(b"".join(map(_line, entries)))
        temporary.replace(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def append(self, entries: Iterable[Entry]) -> None:
        """Add lines.

        Raises:
            OSError: if they can't be written; the document should be given up then.
        """
        data = b"".join(map(_line, entries))
        if self._fd is None:
            raise OSError("the journal is closed")
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Append no more; may be called twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_header(staging: Path) -> Entry | None:
    """The first line of the journal in a folder; None where there is none."""
    return next(_entries(_path(staging)), None)


def _path(staging: Path) -> Path:
    return staging / page_store.FOLDER / "journal.jsonl"


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _entries(path: Path) -> Iterator[Entry]:
    with contextlib.suppress(OSError), path.open("rb") as file:
        for line in file:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                return
            yield entry


def page_entry(result: PageResult) -> Entry:
    """A page's line in the journal."""
    entry = asdict(result)
    return {"page": entry.pop("index"), **entry, "status": str(result.status)}


def page_result(entry: Entry) -> PageResult:
    """The result of a page, from its line in the journal."""
    fields = {k: v for k, v in entry.items() if k not in ("page", "status")}
    fields["sources"] = [sys.intern(s) for s in entry["sources"]]
    return PageResult(index=entry["page"], status=PageStatus(entry["status"]), **fields)


def add_warnings(pages: dict[int, PageResult], warnings: dict[int, list[str]]) -> None:
    """Add the warnings on pages that came up when the document was put together."""
    for index, texts in warnings.items():
        if page := pages.get(index):
            page.warnings.extend(texts)
            page.status = PageStatus.FALLBACK
