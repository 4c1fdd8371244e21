"""Writing a document's files into its staging folder. Runs in a worker."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from loguru import logger

from ..errors import OutputError, one_line
from ..options import Images
from ..pdf.opening import open_document
from . import mineru
from .pages import assemble
from .parts import IN_PARTS, write_joined
from .types import WriteJob, Written


def write(job: WriteJob) -> Written:
    """Assemble a document and write its files into the staging folder. Runs in a worker.

    Raises:
        OutputError: if the disk is full or the folder not writable.
    """
    started = time.perf_counter()
    document = job.document
    staging = Path(document.staging)
    pdf = open_document(document.key).data
    written = Written()
    if job.parts == 0 or any(fmt not in IN_PARTS for fmt in job.formats):
        whole = assemble(document, document.pages, pdf, document.whole)
        written.warnings = whole.warnings
    try:
        for fmt in job.formats:
            name = document.name + mineru.SUFFIXES[fmt]
            try:
                if job.parts and fmt in IN_PARTS:
                    write_joined(fmt, document, job.parts, pdf, staging / name)
                else:
                    (staging / name).write_bytes(
                        mineru.render(fmt, whole.model, whole.middle, whole.formulas, pdf, document.name, staging)
                    )
            except OSError:
                raise
            except Exception as error:  # one format that a document breaks must not cost the others
                logger.opt(exception=error).debug("{} of {}", fmt, document.name)
                written.failed_formats[fmt] = one_line(error, named=True)
                (staging / name).unlink(missing_ok=True)
                continue
            written.files[fmt] = name
        if document.images is not Images.FILE:
            shutil.rmtree(staging / "images", ignore_errors=True)
    except OSError as error:
        raise OutputError(f"can't write the results: {error.strerror or error}") from error
    written.seconds = time.perf_counter() - started
    return written
