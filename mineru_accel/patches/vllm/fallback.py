"""A short way before a function of vLLM's that can't end the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


def first(short: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A short way; vLLM's own where it is NotImplemented, and for good once it has failed. What it has written by then
    vLLM's own writes again."""

    def before(original: Callable[..., Any]) -> Callable[..., Any]:
        failed = False

        def either(*args: Any, **more: Any) -> Any:
            nonlocal failed
            if not failed:
                try:
                    if (found := short(*args, **more)) is not NotImplemented:
                        return found
                except Exception:
                    failed = True
                    log.warning("vllm-decode-steps: vLLM's own %s from now on", original.__qualname__, exc_info=True)
            return original(*args, **more)

        return either

    return before
