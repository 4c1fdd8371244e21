"""OUT: where documents are made and how they get to their place.

Everything is made in a hidden staging folder inside OUT (same file system) and moved to ``OUT/{name}`` in one rename,
so that a kill at any moment leaves no half file.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from .errors import OutputError

_STAGING_PREFIX = ".mineru-accel-"


def staging_folder(output: Path, name: str) -> Path:
    """Where a document's files are made; unique to this process."""
    return output / f"{_STAGING_PREFIX}{os.getpid()}-{name}"


def existing(output: Path, name: str) -> bool:
    """Is there a result of that name in OUT?"""
    return (output / name / f"{name}_report.json").exists()


def check_output(output: Path) -> None:
    """Make OUT and see that files can be made in it; sweep what killed runs left.

    Raises:
        OutputError: if not.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / f"{_STAGING_PREFIX}{os.getpid()}"
        probe.mkdir(exist_ok=True)
        probe.rmdir()
    except OSError as error:
        raise OutputError(f"{output}: can't write there: {error.strerror or error}") from error
    for left in output.glob(f"{_STAGING_PREFIX}*"):
        pid = left.name.removeprefix(_STAGING_PREFIX).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
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
    """Move a finished staging folder to ``OUT/{name}``, in place of an earlier result.

    Raises:
        OutputError: if something that is not a result of ours is in the way, or the move fails.
    """
    target = output / name
    replaced = staging.with_name(f"{staging.name}.old")
    try:
        if target.exists():
            if not existing(output, name) and (not target.is_dir() or any(target.iterdir())):
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
        staging.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, ensure_ascii=False, indent=2), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"can't write the report: {error.strerror or error}") from error
    return path
