"""OUT: checking that it can be written, moving finished documents into it, and sweeping what killed runs left.

A document is made in ``OUT/{name}.partial`` (same file system), which its run locks (:mod:`.work_folder`), and is
moved to ``OUT/{name}`` in one rename: a kill at any moment leaves no half result, and two runs never make the same
document.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import shutil
from pathlib import Path

from ..errors import OutputError
from . import page_store
from .report import read_report

_HIDDEN_PREFIX = ".mineru-accel-"
_OLD = ".old"
_count = itertools.count()


def hidden_path(output: Path, name: str) -> Path:
    """A path in OUT that is unique to this process on this host; a later run sweeps it if this process is killed."""
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
        probe = hidden_path(output, "probe")
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
    replaced = hidden_path(output, name + _OLD)
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
    page_store.remove_pages(target)
    return target
