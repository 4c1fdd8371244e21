"""OUT: whose name a document gets, where it is made, and how it gets to its place.

Everything is made in a hidden staging folder inside OUT (same file system) and moved to ``OUT/{name}`` in one rename,
so that a kill at any moment leaves no half file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import OutputError

_STAGING_PREFIX = ".mineru-accel-"
_count = itertools.count()

Fingerprint = dict[str, Any]
"""What a result was made from: source path, its size and time, and the options."""


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

    A document whose result is there keeps that name; another document of the same stem gets ``stem_2``, ``stem_3``, ...
    Names are compared without case, so that they also differ on file systems that ignore it.
    """

    def __init__(self) -> None:
        self._claimed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def claim(self, output: Path, stem: str, source: str) -> tuple[str, dict[str, Any] | None]:
        """A name for the results of ``source``, and the report of its earlier result if there is one.

        Raises:
            OutputError: if the folder that would be its own is somebody else's.
        """
        with self._lock:
            free = None
            for name in itertools.chain([stem], (f"{stem}_{n}" for n in itertools.count(2))):
                key = (str(output.absolute()), name.casefold())
                if key in self._claimed:
                    continue
                report = read_report(output, name)
                if report is not None and report.get("source") == source:
                    free = name
                    break
                if report is None:
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


def fingerprint(source: Path, options: Mapping[str, Any]) -> Fingerprint:
    """What a result of ``source`` with these options depends on; compared to tell whether it is still good."""
    try:
        status = source.stat()
        size, time = status.st_size, status.st_mtime_ns
    except OSError:
        size = time = -1
    text = json.dumps(dict(options), sort_keys=True, default=str)
    return {"size": size, "mtime_ns": time, "options": hashlib.sha256(text.encode()).hexdigest()[:16]}


def staging_folder(output: Path, name: str) -> Path:
    """Where a document's files are made; unique to this document of this process on this host."""
    return output / f"{_STAGING_PREFIX}{_host()}-{os.getpid()}-{next(_count)}-{name}"


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def check_output(output: Path) -> None:
    """Make OUT and see that files can be made in it; sweep what killed runs left.

    Raises:
        OutputError: if not.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = staging_folder(output, "probe")
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise OutputError(f"{output}: can't write there: {error.strerror or error}") from error
    for left in output.glob(f"{_STAGING_PREFIX}*"):
        host, _, rest = left.name.removeprefix(_STAGING_PREFIX).partition("-")
        pid, _, rest = rest.partition("-")
        if host != _host() or not pid.isdigit() or _alive(int(pid)):
            continue
        name = rest.partition("-")[2].removesuffix(_OLD)
        if left.name.endswith(_OLD) and not (output / name).exists():
            left.rename(output / name)  # killed between two renames: the earlier result is still the good one
        else:
            shutil.rmtree(left, ignore_errors=True)


_OLD = ".old"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def publish(staging: Path, output: Path, name: str) -> Path:
    """Move a finished staging folder to ``OUT/{name}``, in place of an earlier result.

    Raises:
        OutputError: if something that is not a result of ours is in the way, or the move fails.
    """
    target = output / name
    replaced = staging.with_name(staging.name + _OLD)
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
    return target


def discard(staging: Path) -> None:
    """Forget a document that will not be finished."""
    shutil.rmtree(staging, ignore_errors=True)


def write_report(staging: Path, name: str, report: dict[str, Any]) -> Path:
    """Write ``{name}_report.json``, which also marks the folder as ours.

    Raises:
        OutputError: if it can't be written.
    """
    path = staging / f"{name}_report.json"
    try:
        path.write_text(json.dumps(report, ensure_ascii=False, indent=2), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"can't write the report: {error.strerror or error}") from error
    return path
