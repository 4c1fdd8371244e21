"""Takes conversions in, and hands their results out: what page and API have in common."""

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
from .conversion import File, Job
from .fair_queue import FairQueue
from .pipelines import Pipelines
from .sessions import Session, Sessions
from .settings import Settings

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069/\\]+")


class Conversions:
    """Everything behind the page.

    Args:
        settings: limits, and the machine's options.
        root: folder for users' files.
        uploads: the folder in which whatever was uploaded lies; nothing outside it is ever read for anybody.
    """

    def __init__(self, settings: Settings, root: Path, uploads: Path) -> None:
        self.settings = settings
        self.engines = Pipelines(settings.options)
        self.queue = FairQueue((settings.options.workers or default_workers()) + 2)
        self.sessions = Sessions(root, settings.keep_minutes * 60, self._forget)
        self._uploads = uploads

    def start(self, session: Session, uploads: Sequence[str], backend: str, fields: dict[str, Any]) -> Job:
        """Queue a conversion.

        Args:
            uploads: where the files lie, whose last parts are what their user calls them.
            backend: one that is offered.
            fields: options, as a form has them: empty ones are left out.

        Raises:
            UsageError: one line on what is wrong with it.
        """
        s = self.settings
        if not uploads:
            raise UsageError("choose at least one PDF or image")
        if len(uploads) > s.max_files:
            raise UsageError(f"{len(uploads)} files: this server takes {s.max_files} at once")
        if self.sessions.active_jobs() >= s.queue_size:
            raise UsageError(f"the server is busy with {s.queue_size} conversions: try again in a while")
        if backend not in self.engines.choices():
            raise UsageError(f"backend: this server offers {', '.join(self.engines.choices())}")
        fields = {name: value for name, value in fields.items() if value not in (None, "")}
        try:
            Options(**{**s.options.model_dump(exclude_unset=True), **fields})
        except ValidationError as error:
            raise UsageError(_readable(error)) from error
        folder = session.new_folder()
        try:
            files = [self._take(Path(path), folder / "in", n) for n, path in enumerate(uploads)]
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        job = Job(folder, files, self.engines, backend, fields)
        session.jobs.append(job)
        for task in job.tasks():
            self.queue.put(id(session), task)
        return job

    def close(self) -> None:
        """End everything and delete all files."""
        self.queue.close()
        self.engines.close()
        self.sessions.close()

    def _forget(self, session: Session) -> None:
        self.queue.remove(id(session))
        for job in session.jobs:
            job.cancel()
            job.wait(20)

    def _take(self, path: Path, folder: Path, number: int) -> tuple[str, Path]:
        """Bring an upload into its job's folder, under a name of ours."""
        name = shown_name(path.name)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise UsageError(f"{name}: neither a PDF nor an image of a known kind")
        try:
            whole = path.resolve(strict=True)
            mode = path.lstat().st_mode
        except OSError as error:
            raise UsageError(f"{name}: is not there any more, upload it again") from error
        if not whole.is_relative_to(self._uploads.resolve()) or not stat.S_ISREG(mode):
            raise UsageError(f"{name}: was not uploaded")
        if whole.stat().st_size > self.settings.max_file_mb << 20:
            raise UsageError(f"{name}: larger than {self.settings.max_file_mb} MB")
        folder.mkdir(exist_ok=True)
        target = folder / f"{number}{suffix}"
        try:
            os.link(whole, target)
        except OSError:
            shutil.copyfile(whole, target)
        return name, target


def shown_name(name: str) -> str:
    """The last part of a file name, with nothing in it that could pretend to be something else."""
    name = _CONTROL.sub(" ", unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])).strip()
    return name or "document"


def report(job: Job) -> dict[str, Any]:
    """What became of a job, JSON-ready."""
    return {
        "ok": all(f.result is not None and f.result.ok for f in job.files),
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
            for file in job.files
        ],
    }


def results(job: Job) -> list[tuple[File, DocumentResult]]:
    """The files that have results, with them."""
    return [(f, f.result) for f in job.files if f.result is not None and f.result.output_dir is not None]


def make_zip(job: Job, folder: Path) -> Path | None:
    """All results of a job, as the command would have written them; None where there are none."""
    done = results(job)
    if not done:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    name = done[0][1].name if len(job.files) == 1 else "mineru-accel"
    target = folder / f"{name}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for _, result in done:
            assert result.output_dir is not None
            for path in sorted(result.output_dir.rglob("*")):
                archive.write(path, path.relative_to(job.output))
    return target


def _readable(error: ValidationError) -> str:
    first = error.errors()[0]
    where = f"{first['loc'][0]}: " if first["loc"] else ""
    return where + str(first["msg"]).removeprefix("Value error, ")
