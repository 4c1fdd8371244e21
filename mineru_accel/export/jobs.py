"""The workers' jobs for a document's files. Imports nothing heavy, since the parent process imports this, too."""

from __future__ import annotations

from .types import PageView, PartDone, PartJob, WriteJob, Written


def write(job: WriteJob) -> Written:
    """Write a document's files, see :func:`mineru_accel.export.writer.write`."""
    from . import writer

    return writer.write(job)


def write_part(job: PartJob) -> PartDone:
    """Put a part of a long document together, see :func:`mineru_accel.export.parts.write_part`."""
    from . import parts

    return parts.write_part(job)


def page(folder: str, index: int) -> PageView:
    """A page for people to look at, see :func:`mineru_accel.export.page_view.page`."""
    from . import page_view

    return page_view.page(folder, index)
