"""Errors of jobs and of this package's own code as one line for people."""

from __future__ import annotations

from loguru import logger

from ..workers.pool import JobError


def describe(error: Exception) -> str:
    """An error of a job as one line."""
    if isinstance(error, JobError):
        logger.debug("{}", error.traceback)
        return f"internal error: {error}"
    return str(error) or type(error).__name__


def report_fault(error: Exception) -> None:
    """Log a fault of this package itself: in a line, with the traceback in a debug log."""
    logger.error("a step of the pipeline failed: {}: {}", type(error).__name__, error)
    logger.opt(exception=error).debug("where")
