"""The errors that this package raises, and the exit codes of the command."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
"""At least one page or document failed; the others were converted."""
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class AccelError(Exception):
    """Base of every error this package raises on purpose. Its text is one line for people."""

    exit_code = EXIT_FAILED


def one_line(error: BaseException, limit: int = 200, *, named: bool = False) -> str:
    """An error's text on one line, cut to ``limit`` characters; the name of its type where it has no text.

    Args:
        named: Put the name of its type before the text.
    """
    text, name = " ".join(str(error).split())[:limit], type(error).__name__
    return f"{name}: {text}" if named and text else text or name


def internal_error(error: Exception) -> str:
    """A fault of this package itself as one line for people."""
    return f"internal error: {type(error).__name__}: {error}"


class UsageError(AccelError):
    """The options contradict each other or name something that does not exist."""

    exit_code = EXIT_USAGE


class InputError(AccelError):
    """A document can't be read: missing, empty, encrypted, damaged or of another kind."""


class OutputError(AccelError):
    """Results can't be written."""


class ModelError(AccelError):
    """A model is missing or its file is damaged."""


class WorkerError(AccelError):
    """A worker process died or ran past its time limit."""
