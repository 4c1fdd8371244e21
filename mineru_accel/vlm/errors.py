"""Errors of the VLM's engines."""

from __future__ import annotations

from ..errors import AccelError


class EngineError(AccelError):
    """An engine can't be started: vLLM is missing, an argument is unknown, the GPU is full."""


class EngineDied(AccelError):
    """The engine died while it worked on a request, twice or so often that it is not restarted any more."""


class NoAnswer(AccelError):
    """A request failed through no fault of its own: the server is away, answers nonsense or too late."""


class Refused(AccelError):
    """The engine is well and refuses this request (too long, not an image): asking again is of no use."""
