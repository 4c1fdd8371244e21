"""OUT: whose name a document gets, where it is made, and how it gets to its place.

A document is made in ``OUT/{name}.partial`` (same file system), which its run holds by a lock, and is moved to
``OUT/{name}`` in one rename: a kill at any moment leaves no half result, and two runs never make the same document.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import platform
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loguru import logger

from ..errors import OutputError
from . import journal, page_store

_HIDDEN_PREFIX = ".mineru-accel-"
_OLD = ".old"
PARTIAL = ".partial"
"""Suffix of the folder where a document is being made."""
_count = itertools.count()

Fingerprint = dict[str, Any]
"""What a result is made from: the file's SHA-256, the options', the version."""


def report_path(output: Path, name: str) -> Path:
    """The file that marks ``OUT/{name}`` as a result of ours."""
    return output / name / f"{name}_report.json"


def read_report(output: Path, name: str) -> dict[str, Any] | None:
    """The report of a result, None where there is none."""
    try:
        report = json.loads(report_path(output, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


class Names:
    """Gives every document of a run a name in OUT of its own. Thread-safe.

    A document whose result is there, or was begun, keeps that name; another document of the same stem gets ``stem_2``,
    ``stem_3``, ... Names are compared without case, so that they also differ on file systems that ignore it.
    """

    def __init__(self) -> None:
        self._claimed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def claim(self, output: Path, stem: str, source: str) -> tuple[str, dict[str, Any] | None]:
        """A name for the results of ``source``, and the report of its earlier result if there is one.

        Call it with OUT locked (:func:`locked`), until the name's folder is there.

        Raises:
            OutputError: if the folder that would be its own is somebody else's.
        """
        if stem.casefold().endswith(PARTIAL):
            stem += "_"
        with self._lock:
            free = None
            for name in itertools.chain([stem], (f"{stem}_{n}" for n in itertools.count(2))):
                key = (str(output.absolute()), name.casefold())
                if key in self._claimed:
                    continue
                report = read_report(output, name)
                begun = journal.made_from(output / f"{name}{PARTIAL}")
                if source in ((report or {}).get("source"), (begun or {}).get("source")):
                    free = name
                    break
                if report is None and begun is None:
                    free = free or name
                    if not (output / name).exists():
                        break
            assert free is not None
            target = output / free
            report = read_report(output, free)
            if report is None and target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise OutputError(f"{target} is in the way and no result of mineru-accel")
            self._claimed.add((str(output.absolute()), free.casefold()))
            return free, report

    def release(self, output: Path, name: str) -> None:
        """The document is over: its name may be used for the same source again."""
        with self._lock:
            self._claimed.discard((str(output.absolute()), name.casefold()))


class WorkFolder:
    """``OUT/{name}.partial``, ours alone while it is open, in this process and others.

    Raises:
        OutputError: if another run has it, if it is none of ours, or can't be made.
    """

    def __init__(self, output: Path, name: str) -> None:
        self.path = output / f"{name}{PARTIAL}"
        try:
            self._fd = self._open(output / name)
        except OSError as error:
            raise OutputError(f"{output}: can't write there: {error.strerror or error}") from error
        self.journal = journal.Journal(self.path)

    def _open(self, target: Path) -> int:
        while True:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir()
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    if any(self.path.iterdir()) and not (self.path / page_store.FOLDER).is_dir():
                        raise OutputError(f"{self.path} is in the way and no work of mineru-accel")
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise OutputError(f"{target} is being made by another run") from None
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # whoever had it has moved it away meanwhile

    def clear(self) -> None:
        """Forget what an earlier run left in it."""
        for left in list(self.path.iterdir()):
            if left.name != page_store.FOLDER:
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        shutil.rmtree(self.path / page_store.FOLDER, ignore_errors=True)  # last: it marks the folder as ours

    def close(self, keep: bool = False) -> None:
        """Let go of it; what is in it goes too unless it is to be kept for a later run, or has become the result."""
        self.journal.close()
        if not keep and self.path.exists():
            gone = _hidden(self.path.parent, self.path.name)
            with contextlib.suppress(OSError):
                self.path.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
        os.close(self._fd)


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep other runs from choosing names in OUT meanwhile. Short: nobody is told that he waits."""
    fd = os.open(output, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _flock(fd: int, how: int) -> None:
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        raise
    except OSError as error:  # file systems without locks
        logger.debug("no lock: {}", error)


def fingerprint(digest: str, options: Mapping[str, Any], version: str) -> Fingerprint:
    """What a result depends on; compared to tell whether it is still good.

    Args:
        digest: SHA-256 of the source file.
        options: those that matter.
        version: of this package.
    """
    text = json.dumps(dict(options), sort_keys=True, default=str)
    return {"sha256": digest, "options": hashlib.sha256(text.encode()).hexdigest()[:16], "version": version}


def difference(was: object, now: Fingerprint) -> str | None:
    """What has changed between two fingerprints, in words; None if nothing has."""
    if was == now:
        return None
    if not isinstance(was, dict) or was.get("sha256") != now["sha256"]:
        return "from another version of this file"
    if was.get("options") != now["options"]:
        return "with other options"
    return f"by version {was.get('version')} of mineru-accel"


def _hidden(output: Path, name: str) -> Path:
    """A name in OUT that is unique to this process on this host, and swept when that is gone."""
    return output / f"{_HIDDEN_PREFIX}{_host()}-{os.getpid()}-{next(_count)}-{name}"


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def check_output(output: Path) -> None:
    """Make OUT and see that files can be made in it; sweep what killed runs left.

    Raises:
        OutputError: if not.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = _hidden(output, "probe")
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise OutputError(f"{output}: can't write there: {error.strerror or error}") from error
    for left in output.glob(f"{_HIDDEN_PREFIX}*"):
        host, _, rest = left.name.removeprefix(_HIDDEN_PREFIX).partition("-")
        pid, _, rest = rest.partition("-")
        if host != _host() or not pid.isdigit() or _alive(int(pid)):
            continue
        name = rest.partition("-")[2].removesuffix(_OLD)
        if left.name.endswith(_OLD) and not (output / name).exists():
            left.rename(output / name)  # killed between two renames: the earlier result is still the good one
        else:
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def publish(staging: Path, output: Path, name: str) -> Path:
    """Move a finished work folder to ``OUT/{name}``, in place of an earlier result.

    Raises:
        OutputError: if something that is not a result of ours is in the way, or the move fails.
    """
    target = output / name
    replaced = _hidden(output, name + _OLD)
    try:
        if target.exists():
            if read_report(output, name) is None and (not target.is_dir() or any(target.iterdir())):
                raise OutputError(f"{target} is in the way and no result of mineru-accel")
            target.rename(replaced)
        staging.rename(target)
    except OSError as error:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        raise OutputError(f"{target}: can't write it: {error.strerror or error}") from error
    shutil.rmtree(replaced, ignore_errors=True)
    page_store.remove(target)
    return target


def write_report(staging: Path, name: str, report: dict[str, Any], pages: Iterable[dict[str, Any]]) -> Path:
    """Write ``{name}_report.json``, which also marks the folder as ours: JSON, page by page.

    Args:
        report: what stands before the pages.
        pages: become its ``page_results``.

    Raises:
        OutputError: if it can't be written.
    """
    path = staging / f"{name}_report.json"
    before = json.dumps(report, ensure_ascii=False, indent=2).removesuffix("\n}")
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(f'{before},\n  "page_results": [')
            for number, page in enumerate(pages):
                text = json.dumps(page, ensure_ascii=False, indent=2).replace("\n", "\n    ")
                file.write(f"{',' if number else ''}\n    {text}")
            file.write("\n  ]\n}")
    except OSError as error:
        raise OutputError(f"can't write the report: {error.strerror or error}") from error
    return path
