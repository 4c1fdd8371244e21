"""Blocks of converted pages, kept on disk until their document is complete, so that memory does not grow with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..document import Block, Found
from .clean_text import dump

FOLDER = "pages"


def write_page(staging: Path, index: int, blocks: list[Block], found: Iterable[Found] = (), turn: int = 0) -> None:
    """Write a page's blocks and how each was found, atomically: a half-written page is never read.

    Args:
        turn: degrees by which the page was turned to be read; bboxes are of the page as displayed.
    """
    folder = staging / FOLDER
    folder.mkdir(exist_ok=True)  # not its parents: a document that was given up stays gone
    found_as = [[f.label, f.score, f.source, f.formula_text] for f in found]
    page: dict[str, Any] = {"blocks": blocks, "found": found_as}
    if turn:
        page["turn"] = turn
    write_file(_path(staging, index), dump(page).encode())


def write_file(target: Path, data: bytes) -> None:
    """Write a file so that it is complete or not there."""
    temporary = target.with_suffix(".part")
    temporary.write_bytes(data)
    temporary.replace(target)


def read_page(staging: Path, index: int) -> list[Block]:
    """A page's blocks; none for a page that was never written because it failed."""
    return _read(staging, index)["blocks"]


def read_turn(staging: Path, index: int) -> int:
    """Degrees by which a page was turned counter-clockwise to be read."""
    return int(_read(staging, index).get("turn", 0))


def read_found(staging: Path, index: int) -> list[Found]:
    """The label, score and source of each of a page's blocks, in their order."""
    return [Found(*one) for one in _read(staging, index)["found"]]


def copy_page(staging: Path, index: int, folder: Path) -> None:
    """Copy a page's blocks and pictures to a folder of the same structure that outlives ``staging``; by hard links
    where possible."""
    source = _path(staging, index)
    if not source.exists():
        return
    pictures = (block.get("image_path") for block in read_page(staging, index))
    for file in [source, *(staging / picture for picture in pictures if picture)]:
        target = folder / file.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:  # another file system, or one without links
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(file, target)


def remove_pages(staging: Path) -> None:
    """Delete all pages, once the document is written."""
    shutil.rmtree(staging / FOLDER, ignore_errors=True)


def _path(staging: Path, index: int) -> Path:
    return staging / FOLDER / f"{index:06}.json"


def _read(staging: Path, index: int) -> dict[str, Any]:
    path = _path(staging, index)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"blocks": [], "found": []}
