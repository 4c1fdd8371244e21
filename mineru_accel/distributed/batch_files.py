"""The converted pages of a batch as one file: their spooled blocks and pictures, and what became of each page."""

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
class Packed(Written):
    """What became of the pages of a batch: no files of their own, but a bundle."""

    data: bytes = b""


def pack(staging: str) -> Packed:
    """The spooled pages and pictures of a work folder. Runs in a worker."""
    folder = Path(staging)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for page in sorted((folder / page_store.FOLDER).glob("*.json")):
            archive.write(page, f"{page_store.FOLDER}/{page.name}", zipfile.ZIP_DEFLATED, compresslevel=1)
        for picture in sorted((folder / "images").glob("*")):  # JPEG: packing it again gains nothing
            archive.write(picture, f"images/{picture.name}")
    return Packed(data=out.getvalue())


def with_results(packed: Packed | None, results: Iterable[PageResult]) -> bytes:
    """A bundle with what became of its pages; None is that of pages of which nothing was read."""
    out = io.BytesIO(packed.data if packed else b"")
    with zipfile.ZipFile(out, "a") as archive:
        lines = "".join(json.dumps(page_entry(result), ensure_ascii=False) + "\n" for result in results)
        archive.writestr(_RESULTS, lines.encode("utf-8", "surrogatepass"), zipfile.ZIP_DEFLATED, compresslevel=1)
    return out.getvalue()


def unpack(data: bytes, staging: Path) -> list[Entry]:
    """Put a bundle's pages and pictures into a work folder.

    Returns:
        Their lines for the journal.

    Raises:
        ValueError: if it is no bundle.
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
