"""From what people type (files, folders, globs, lists) to the documents of a run, each with a unique output name."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError

PDF_SUFFIXES = frozenset({".pdf"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".jp2", ".gif"})
SUFFIXES = PDF_SUFFIXES | IMAGE_SUFFIXES

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
_MAX_NAME = 120  # bytes; room for suffixes below the 255 of most file systems


@dataclass(frozen=True, slots=True)
class Input:
    """One file to convert. ``name`` is unique in the run and safe as a folder name."""

    path: Path
    name: str


def expand(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Files named by paths, folders (searched recursively for known suffixes, hidden ones left out) and globs.

    Keeps the order given (folders and globs sorted) and drops repetitions. A path that is not there is kept: it
    becomes that document's error and costs the others nothing.

    Raises:
        UsageError: if a glob matches nothing or a folder holds no document.
    """
    found: dict[Path, None] = {}
    for given in paths:
        text = os.path.expanduser(os.fspath(given))
        path = Path(text)
        if path.is_dir():
            inside = [
                p
                for p in sorted(path.rglob("*"))
                if p.suffix.lower() in SUFFIXES
                and p.is_file()
                and not any(part.startswith(".") for part in p.relative_to(path).parts)
            ]
            if not inside:
                raise UsageError(f"{text}: no PDF or image in this folder")
            found.update(dict.fromkeys(inside))
        elif not path.exists() and glob.has_magic(text):
            matches = [Path(m) for m in sorted(glob.glob(text, recursive=True)) if os.path.isfile(m)]
            if not matches:
                raise UsageError(f"{text}: nothing matches")
            found.update(dict.fromkeys(matches))
        else:
            found[path] = None
    return list(found)


def read_list(path: Path) -> list[str]:
    """Paths from a file, one a line; empty lines and lines starting with ``#`` are skipped. ``-`` is standard input.

    Raises:
        UsageError: if the file can't be read.
    """
    try:
        text = Path("/dev/stdin" if str(path) == "-" else path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't read the list: {getattr(error, 'strerror', None) or error}") from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def safe_name(stem: str) -> str:
    """A folder name that stays inside OUT on every system: no separators, control characters or dots at the ends."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", stem)).strip(". ")
    while len(name.encode()) > _MAX_NAME:
        name = name[:-1]
    return name.encode("utf-8", "replace").decode() or "document"


def assign_names(paths: Iterable[Path]) -> list[Input]:
    """Give each file an output name: its stem, or ``stem_2``, ``stem_3``, ... where the stem is taken.

    Names are compared without case, so that they also differ on file systems that ignore it.
    """
    taken: set[str] = set()
    inputs = []
    for path in paths:
        base = name = safe_name(path.stem)
        number = 2
        while name.casefold() in taken:
            name = f"{base}_{number}"
            number += 1
        taken.add(name.casefold())
        inputs.append(Input(path, name))
    return inputs
