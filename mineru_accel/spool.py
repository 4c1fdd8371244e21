"""Blocks of converted pages wait on disk until their document is complete, so memory does not grow with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .document import Block

FOLDER = "pages"


def write_page(staging: Path, index: int, blocks: list[Block]) -> None:
    """Put a page's blocks away (atomically: a half-written page is never read)."""
    folder = staging / FOLDER
    folder.mkdir(exist_ok=True)  # not its parents: a document that was given up stays gone
    target = folder / f"{index:06}.json"
    temporary = target.with_suffix(".part")
    temporary.write_text(json.dumps(blocks, ensure_ascii=False), encoding="utf-8")
    temporary.replace(target)


def read_page(staging: Path, index: int) -> list[Block]:
    """A page's blocks; none for a page that was never written because it failed."""
    path = staging / FOLDER / f"{index:06}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def remove(staging: Path) -> None:
    """The document is written: its pages are not needed any more."""
    shutil.rmtree(staging / FOLDER, ignore_errors=True)
