"""Writing a document's files into its staging folder. Runs in a worker."""

from __future__ import annotations

import base64
import contextlib
import shutil
from pathlib import Path

from loguru import logger

from .. import spool
from ..document import VISUAL_TYPES, Block
from ..errors import OutputError
from ..options import Images
from ..pdf.source import open_document
from . import mineru
from .types import WriteJob, Written


def write(job: WriteJob) -> Written:
    """Assemble a document and write its files into the staging folder. Runs in a worker.

    Raises:
        OutputError: if the disk is full or the folder not writable.
    """
    staging = Path(job.staging)
    pdf = open_document(job.key).bytes
    pages = _pages(job, staging)
    written = Written()
    indices = None if job.whole else job.pages
    try:
        model = mineru.build_model(pages, indices, job.effort, job.parse_mode, pdf)
        middle = mineru.to_middle(model)
    except ValueError:
        pages = _pages(job, staging)
        for number, reason in mineru.drop_invalid(pages):
            written.warnings.setdefault(job.pages[number], []).append(reason)
        model = mineru.build_model(pages, indices, job.effort, job.parse_mode, pdf)
        middle = mineru.to_middle(model)
    try:
        for fmt in job.formats:
            try:
                data = mineru.render(fmt, model, middle, pdf, job.name, staging)
            except OSError:
                raise
            except Exception as error:  # one format that a document breaks must not cost the others
                logger.opt(exception=error).debug("{} of {}", fmt, job.name)
                written.failed_formats[fmt] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                continue
            name = job.name + mineru.SUFFIXES[fmt]
            (staging / name).write_bytes(data)
            written.files[fmt] = name
        if job.images is not Images.FILE:
            shutil.rmtree(staging / "images", ignore_errors=True)
    except OSError as error:
        raise OutputError(f"can't write the results: {error.strerror or error}") from error
    return written


def _pages(job: WriteJob, staging: Path) -> list[list[Block]]:
    """The spooled blocks, with their pictures as the job wants them."""
    pages = [spool.read_page(staging, index) for index in job.pages]
    if job.images is Images.EMBED:
        _embed(pages, staging)
    if job.images is Images.NONE:  # what is only a picture is nothing then
        pages = [[b for b in page if b.get("content") or b["type"] not in VISUAL_TYPES] for page in pages]
    return pages


def _embed(pages: list[list[Block]], staging: Path) -> None:
    for block in (b for page in pages for b in page if b.get("image_path")):
        with contextlib.suppress(OSError):
            data = base64.b64encode((staging / block["image_path"]).read_bytes()).decode()
            block["image_base64"] = f"data:image/jpeg;base64,{data}"
            del block["image_path"]
