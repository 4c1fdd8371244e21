"""The documents of a run, from the paths, folders, globs and lists that users give."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, UsageError
from . import remote
from .digest import file_sha256
from .remote import is_url

PDF_SUFFIXES = frozenset({".pdf"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".jp2", ".gif"})
SUFFIXES = PDF_SUFFIXES | IMAGE_SUFFIXES

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
_MAX_NAME = 120  # bytes; room for suffixes below the 255 of most file systems


@dataclass(frozen=True, slots=True)
class Input:
    """One file to convert."""

    path: Path
    known_as: str | None = None
    """Its name for users, where ``path`` is a temporary place of ours."""
    in_folder: bool = False
    """Whether it was found in a folder that was given."""
    replace: bool = False
    """Whether to replace a result that was made from another version of the file or with other options."""

    @property
    def stem(self) -> str:
        """Its name without suffix, safe as a folder name; :class:`~.document_names.DocumentNames` makes it unique."""
        return safe_name(Path(self.known_as or str(self.path)).stem)

    @property
    def source(self) -> str:
        """Its absolute path, by which it is known in reports; bytes of it that are no UTF-8 are written ``\\udcff``."""
        path = self.known_as or (str(self.path) if is_url(self.path) else os.path.abspath(self.path))
        return path.encode("utf-8", "backslashreplace").decode()


def find_paths(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files of :func:`find_inputs`."""
    return [item.path for item in find_inputs(paths)]


def find_inputs(paths: Iterable[str | os.PathLike[str]]) -> list[Input]:
    """Files named by paths, folders (searched recursively for known suffixes; not hidden ones, nor results of ours) and
    globs. URLs of files, folders and globs too, see :mod:`mineru_accel.storage.remote`.

    Keeps the order given (folders and globs sorted) and drops repetitions. A path that is not there is kept: it
    becomes that document's error and costs the others nothing.

    Raises:
        UsageError: if a glob matches nothing or a folder holds no document.
    """
    found: dict[str, Input] = {}

    def add(path: Path, in_folder: bool = False) -> None:
        found.setdefault(os.path.abspath(path), Input(path, in_folder=in_folder))

    for given in paths:
        if is_url(given):
            for one in remote.find_files(str(given), lambda name: Path(name).suffix.lower() in SUFFIXES):
                found.setdefault(str(one), Input(one, in_folder=str(one) != str(given)))
            continue
        text = os.path.expanduser(os.fspath(given))
        path = Path(text)
        if path.is_dir():
            inside = list(documents_in(path))
            if not inside:
                raise UsageError(f"{text}: no PDF or image in this folder")
            for file in inside:
                add(file, in_folder=True)
        elif not path.exists() and glob.has_magic(text):
            matches = [Path(m) for m in sorted(glob.glob(text, recursive=True)) if os.path.isfile(m)]
            if not matches:
                raise UsageError(f"{text}: nothing matches")
            for match in matches:
                add(match)
        else:
            add(path)
    return list(found.values())


def documents_in(folder: Path) -> Iterator[Path]:
    """The documents in a folder and below, sorted."""
    for path in sorted(folder.rglob("*")):
        if (
            path.suffix.lower() in SUFFIXES
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
            and not _in_result(path, folder)
        ):
            yield path


def input_sha256(path: str) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        InputError: if it can't be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(why_unreadable(error)) from error


def why_unreadable(error: OSError) -> str:
    """Why a file can't be read, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return error.strerror or str(error)


def _in_result(file: Path, top: Path) -> bool:
    """Whether a file below ``top`` lies in a folder that a run has written."""
    return any(
        (p / f"{p.name}_report.json").exists() or (p.name.endswith(".partial") and (p / "pages").is_dir())
        for p in file.parents
        if p.is_relative_to(top)
    )


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
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", stem.encode("utf-8", "replace").decode())).strip(". ")
    while len(name.encode()) > _MAX_NAME:
        name = name[:-1]
    return name or "document"
