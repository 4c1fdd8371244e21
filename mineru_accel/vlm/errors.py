"""What can go wrong with a VLM's engine."""

from __future__ import annotations

from ..errors import AccelError


class EngineError(AccelError):
    """An engine can't be started: vLLM is missing, an argument is unknown, the GPU is full."""


class EngineDied(AccelError):
    """The engine died while it worked on this, and trying again was of no use or not allowed any more."""


class NoAnswer(AccelError):
    """A request failed for a reason that is not in the request: the server is away, answers rubbish or too late."""


class Refused(AccelError):
    """The engine is well and refuses this very request (too long, not an image): asking again is no use."""
