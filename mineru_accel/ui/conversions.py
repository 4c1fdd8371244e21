"""Starts conversions and hands out their results, for the web page and the API."""

from __future__ import annotations

import os
import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..conversion.startup import default_workers
from ..document import DocumentResult
from ..errors import UsageError
from ..options import Options
from ..storage.inputs import SUFFIXES
from .conversion import Conversion, File
from .fair_queue import FairQueue
from .pipelines import Pipelines
from .sessions import Session, Sessions
from .settings import Settings

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069/\\]+")


class Conversions:
    """Everything behind the web page: sessions, queue and pipelines.

    Args:
        settings: Limits, and the machine's options.
        root: Folder for users' files.
        uploads: The folder in which all uploads lie; nothing outside it is ever read for anybody.
    """

    def __init__(self, settings: Settings, root: Path, uploads: Path) -> None:
        self.settings = settings
        self.pipelines = Pipelines(settings.options)
        self.queue = FairQueue((settings.options.workers or default_workers()) + 2)
        self.sessions = Sessions(root, settings.keep_minutes * 60, self._forget)
        self._uploads = uploads

    def start(self, session: Session, uploads: Sequence[str], backend: str, fields: dict[str, Any]) -> Conversion:
        """Queue a conversion.

        Args:
            uploads: Paths of the files; their last parts are the user's names of them.
            backend: One that is offered.
            fields: Options, as a form has them: empty ones are left out.

        Raises:
            UsageError: one line on what is wrong with it.
        """
        s = self.settings
        if not uploads:
            raise UsageError("choose at least one PDF or image")
        if len(uploads) > s.max_files:
            raise UsageError(f"{len(uploads)} files: this server takes {s.max_files} at once")
        if self.sessions.active_conversions() >= s.queue_size:
            raise UsageError(f"the server is busy with {s.queue_size} conversions: try again in a while")
        if backend not in self.pipelines.choices():
            raise UsageError(f"backend: this server offers {', '.join(self.pipelines.choices())}")
        fields = {name: value for name, value in fields.items() if value not in (None, "")}
        try:
            Options(**{**s.options.model_dump(exclude_unset=True), **fields})
        except ValidationError as error:
            raise UsageError(_first_problem(error)) from error
        folder = session.new_folder()
        try:
            files = [self._copy_upload(Path(path), folder / "in", n) for n, path in enumerate(uploads)]
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        conversion = Conversion(folder, files, self.pipelines, backend, fields)
        session.conversions.append(conversion)
        for task in conversion.tasks():
            self.queue.put(id(session), task)
        return conversion

    def close(self) -> None:
        """End everything and delete all files."""
        self.queue.close()
        self.pipelines.close()
        self.sessions.close()

    def _forget(self, session: Session) -> None:
        self.queue.remove(id(session))
        for conversion in session.conversions:
            conversion.cancel()
            conversion.wait(20)

    def _copy_upload(self, path: Path, folder: Path, number: int) -> tuple[str, Path]:
        """Link or copy an upload into its conversion's folder, under a name of ours; the name to show, and the copy."""
        name = shown_name(path.name)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise UsageError(f"{name}: neither a PDF nor an image of a known kind")
        try:
            resolved = path.resolve(strict=True)
            mode = path.lstat().st_mode
        except OSError as error:
            raise UsageError(f"{name}: is not there any more, upload it again") from error
        if not resolved.is_relative_to(self._uploads.resolve()) or not stat.S_ISREG(mode):
            raise UsageError(f"{name}: was not uploaded")
        if resolved.stat().st_size > self.settings.max_file_mb << 20:
            raise UsageError(f"{name}: larger than {self.settings.max_file_mb} MB")
        folder.mkdir(exist_ok=True)
        target = folder / f"{number}{suffix}"
        try:
            os.link(resolved, target)
        except OSError:
            shutil.copyfile(resolved, target)
        return name, target


def shown_name(name: str) -> str:
    """The last part of a file name, without characters that control or disguise what is shown."""
    name = _CONTROL.sub(" ", unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])).strip()
    return name or "document"


def report(conversion: Conversion) -> dict[str, Any]:
    """The outcome of a conversion by document and page, JSON-ready."""
    return {
        "ok": all(f.result is not None and f.result.ok for f in conversion.files),
        "documents": [
            {
                "file": file.name,
                "state": str(file.state),
                "ok": file.result is not None and file.result.ok,
                "error": file.error,
                "name": file.result.name if file.result and file.result.output_dir else None,
                "pages": [
                    {"page": p.index + 1, "status": str(p.status), "error": p.error, "warnings": p.warnings}
                    for p in sorted(file.pages.values(), key=lambda page: page.index)
                ],
                "seconds": round(file.result.seconds, 3) if file.result else None,
            }
            for file in conversion.files
        ],
    }


def results(conversion: Conversion) -> list[tuple[File, DocumentResult]]:
    """The files that have results, each with its own."""
    return [(f, f.result) for f in conversion.files if f.result is not None and f.result.output_dir is not None]


def make_zip(conversion: Conversion, folder: Path) -> Path | None:
    """A ZIP file with all results, as the command would have written them; None where there are none."""
    done = results(conversion)
    if not done:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    name = done[0][1].name if len(conversion.files) == 1 else "mineru-accel"
    target = folder / f"{name}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for _, result in done:
            assert result.output_dir is not None
            for path in sorted(result.output_dir.rglob("*")):
                archive.write(path, path.relative_to(conversion.output))
    return target


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = f"{first['loc'][0]}: " if first["loc"] else ""
    return where + str(first["msg"]).removeprefix("Value error, ")
