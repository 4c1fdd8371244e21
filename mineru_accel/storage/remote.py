"""Files that are not on this machine: ``s3://``, ``gs://``, ``hf://`` and everything else that fsspec knows.

Paths of them are ``upath.UPath``, which has pathlib's methods. Nothing heavy is imported before the first one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import AccelError, InputError, OutputError, UsageError, one_line

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_COPY_BYTES = 1 << 20


def is_url(path: object) -> bool:
    """Whether this is a URL, or a path made from one."""
    return bool(_URL.match(str(path)))


def to_path(text: str | os.PathLike[str]) -> Path:
    """A ``UPath`` for a URL, a ``Path`` for everything else.

    Raises:
        UsageError: for a URL that no installed package can read.
    """
    if not is_url(text):
        return Path(text)
    return _open(str(text))


def _open(url: str) -> Any:
    try:
        from upath import UPath
    except ModuleNotFoundError as error:
        raise UsageError(f"{url}: URLs need: pip install 'mineru-accel[ray]'") from error
    try:
        path = UPath(url)
        path.fs  # noqa: B018 - the file system is made when first asked for
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error
    return path


def find_files(url: str, wanted: Callable[[str], bool]) -> list[Path]:
    """The files that a URL names: itself, those in its folder (searched through), or those its glob matches, sorted.

    Args:
        wanted: Whether a file of a folder counts, by its name.

    Raises:
        UsageError: if a folder or glob holds none, or the place can't be read.
    """
    path: Any = _open(url)
    fs = path.fs
    try:
        if re.search(r"[*?\[]", url):
            found = [n for n in fs.glob(path.path) if not fs.isdir(n)]
        elif fs.isdir(path.path):
            every = fs.find(path.path)
            results = {n.rpartition("/")[0] for n in every if _is_report(n)}
            found = [n for n in every if wanted(n) and "/." not in n and results.isdisjoint(_folders(n))]
        else:
            return [path]
    except Exception as error:  # every store has errors of its own
        raise UsageError(f"{url}: {one_line(error)}") from error
    if not found:
        raise UsageError(f"{url}: no PDF or image there")
    return [_open(fs.unstrip_protocol(n)) for n in sorted(found)]


def _is_report(path: str) -> bool:
    """Whether this is ``.../{name}/{name}_report.json``, which marks a folder as a result of ours."""
    *_, folder, name = ("", *path.split("/"))
    return name == f"{folder}_report.json"


def _folders(name: str) -> list[str]:
    """Every folder that a name lies in."""
    return [name[:at] for at, letter in enumerate(name) if letter == "/"]


class Cache:
    """Copies of remote files on this machine, shared by its processes; the least recently used are deleted.

    Args:
        folder: Where they lie.
        max_bytes: Maximum size of all copies.
    """

    def __init__(self, folder: Path, max_bytes: int = 8 << 30) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, path: Path) -> Path:
        """A local file with the contents of a remote one; a local one is returned as it is.

        Raises:
            InputError: if it can't be read.
        """
        if not is_url(path):
            return path
        remote: Any = path
        try:
            version = str(remote.fs.ukey(remote.path))  # changes with the contents: its ETag, or size and time
            name = hashlib.sha256(f"{path}\n{version}".encode()).hexdigest()[:32] + remote.suffix.lower()
            target = self._folder / name
            if target.exists():
                os.utime(target)
                return target
            handle, part = tempfile.mkstemp(dir=self._folder, prefix=".")
            try:
                with os.fdopen(handle, "wb") as out, remote.open("rb") as source:
                    shutil.copyfileobj(source, out, _COPY_BYTES)
                os.replace(part, target)
            except BaseException:
                os.unlink(part)
                raise
        except AccelError:
            raise
        except FileNotFoundError as error:
            raise InputError("no such file") from error
        except Exception as error:
            raise InputError(f"can't be fetched: {one_line(error)}") from error
        self._sweep(keep=target)
        return target

    def _sweep(self, keep: Path) -> None:
        files = []
        for file in self._folder.iterdir():
            try:
                status = file.stat()
            except OSError:  # another process was quicker
                continue
            files.append((status.st_atime, status.st_size, file))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files, key=lambda f: f[0]):
            if total <= self._max_bytes:
                return
            if file != keep:
                file.unlink(missing_ok=True)
                total -= size


def upload(folder: Path, target: Path, last: str, first: tuple[str, bytes]) -> None:
    """Copy a folder's files to a URL, in place of those that are there.

    Args:
        folder: Files to copy.
        target: Where to.
        last: Name of the file that is copied last.
        first: Name and contents of a file that marks the place meanwhile.

    Raises:
        OutputError: if that fails.
    """
    remote: Any = target
    fs, root = remote.fs, remote.path.rstrip("/")
    files = sorted((f for f in folder.rglob("*") if f.is_file()), key=lambda f: (f.name == last, f))
    try:
        old = set(fs.find(root)) if fs.exists(root) else set()
        _put(fs, f"{root}/{first[0]}", first[1])
        for file in files:
            place = f"{root}/{file.relative_to(folder).as_posix()}"
            _put(fs, place, file.read_bytes())
            old.discard(place)
        if old:
            fs.rm(sorted(old))
    except Exception as error:
        raise OutputError(f"{target}: can't write it: {one_line(error)}") from error


def _put(fs: Any, place: str, data: bytes) -> None:
    fs.makedirs(place.rpartition("/")[0], exist_ok=True)  # no request where a store has no folders
    fs.pipe_file(place, data)
