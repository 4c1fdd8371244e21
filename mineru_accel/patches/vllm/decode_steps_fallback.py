"""Our faster version of a method of vLLM's, with vLLM's own as the fallback: a bug of ours must not end the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes vLLM's own function, returns the one to put in its place."""


def with_fallback(fast: Callable[..., Any]) -> Wrapper:
    """A wrapper that calls `fast` instead of vLLM's own function.

    vLLM's own runs where `fast` returns NotImplemented, and always after `fast` has raised once (logged as a warning).
    `fast` may have written some of its results before it raises: vLLM's own writes all of them again.
    """

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        failed = False

        def call(*args: Any, **more: Any) -> Any:
            nonlocal failed
            if not failed:
                try:
                    if (result := fast(*args, **more)) is not NotImplemented:
                        return result
                except Exception:
                    failed = True
                    log.warning("vllm-decode-steps: vLLM's own %s from now on", original.__qualname__, exc_info=True)
            return original(*args, **more)

        return call

    return wrap
