"""Converted batches of long documents in OUT: ``OUT/.mineru-accel-parts/{document}/{first page}.zip``.

They wait there until all are done, and for a later run if this one is killed.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import OutputError, one_line
from ..storage import page_store
from ..storage.remote import is_url

FOLDER = ".mineru-accel-parts"
_FAILED = "-failed"
"""Marks a batch with a failed page: a later run converts it again."""


def save(output: Path, key: str, start: int, data: bytes, failed: bool) -> None:
    """Store a batch.

    Raises:
        OutputError: if it can't be written.
    """
    folder = output / FOLDER / key
    name = f"{start:06}{_FAILED if failed else ''}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_url(output):  # stores write an object whole or not at all
            (folder / name).write_bytes(data)
        else:
            page_store.write_file(folder / name, data)
    except Exception as error:  # every store has errors of its own
        raise OutputError(f"{folder / name}: can't write it: {one_line(error)}") from error


def stored(output: Path, key: str) -> set[int]:
    """The batches that are stored without failures, by their first page's position."""
    folder = output / FOLDER / key
    try:
        names = [file.name for file in folder.iterdir()]
    except Exception:  # there is none, or it can't be read: then all are converted again
        return set()
    return {int(n[:-4]) for n in names if n.endswith(".zip") and n[:-4].isdigit()}


def load(output: Path, key: str, start: int) -> bytes:
    """A stored batch.

    Raises:
        OutputError: if it is not there.
    """
    folder = output / FOLDER / key
    for name in (f"{start:06}.zip", f"{start:06}{_FAILED}.zip"):
        try:
            return (folder / name).read_bytes()
        except FileNotFoundError:
            continue
        except Exception as error:
            raise OutputError(f"{folder / name}: can't be read: {one_line(error)}") from error
    raise OutputError(f"{folder}: the part from its page {start + 1} on is missing")


def remove(output: Path, key: str) -> None:
    """Delete the batches of a document, once it is written."""
    folder = output / FOLDER / key
    try:
        for file in list(folder.iterdir()):
            file.unlink()
        if not is_url(output):
            folder.rmdir()
            folder.parent.rmdir()  # if it was the last one
    except Exception:
        return
