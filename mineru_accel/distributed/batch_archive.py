"""The converted pages of a batch as one ZIP file: their blocks and pictures, and the result of each page."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..document import PageResult
from ..export.types import Written
from ..storage import page_store
from ..storage.journal import Entry, page_entry

_RESULTS = "results.jsonl"


@dataclass(slots=True)
class BatchPages(Written):
    """The outcome of writing a batch: an archive instead of a document's files."""

    data: bytes = b""


def pack(staging: str) -> BatchPages:
    """An archive of the pages and pictures in a work folder. Runs in a worker."""
    folder = Path(staging)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for page in sorted((folder / page_store.FOLDER).glob("*.json")):
            archive.write(page, f"{page_store.FOLDER}/{page.name}", zipfile.ZIP_DEFLATED, compresslevel=1)
        for picture in sorted((folder / "images").glob("*")):  # JPEG: packing it again gains nothing
            archive.write(picture, f"images/{picture.name}")
    return BatchPages(data=out.getvalue())


def with_results(packed: BatchPages | None, results: Iterable[PageResult]) -> bytes:
    """The archive with the results of its pages added; None is an archive without pages."""
    out = io.BytesIO(packed.data if packed else b"")
    with zipfile.ZipFile(out, "a") as archive:
        lines = "".join(json.dumps(page_entry(result), ensure_ascii=False) + "\n" for result in results)
        archive.writestr(_RESULTS, lines.encode("utf-8", "surrogatepass"), zipfile.ZIP_DEFLATED, compresslevel=1)
    return out.getvalue()


def unpack(data: bytes, staging: Path) -> list[Entry]:
    """Put an archive's pages and pictures into a work folder.

    Returns:
        Their lines for the journal.

    Raises:
        ValueError: if it is no such archive.
        OSError: if they can't be written.
    """
    with _opened(data) as archive:
        for name in archive.namelist():
            if name != _RESULTS:
                archive.extract(name, staging)
    return _entries(data)


def _entries(data: bytes) -> list[Entry]:
    try:
        with _opened(data) as archive:
            return [json.loads(line) for line in archive.read(_RESULTS).splitlines()]
    except KeyError as error:
        raise ValueError("no results in it") from error


def _opened(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ValueError("no bundle") from error
