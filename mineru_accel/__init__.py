"""mineru-accel: the fastest way to turn PDFs into clean Markdown and JSON with MinerU's models.

::

    import mineru_accel

    print(mineru_accel.convert("paper.pdf").markdown)

Importing this package imports nothing heavy; names are loaded when first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

# ONNX Runtime's wheels send usage data unless told not to, before they are first imported; worker processes inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from .document import DocumentResult, PageResult, PageStatus
    from .errors import AccelError, InputError, ModelError, OutputError, UsageError
    from .options import Options
    from .pipeline import Pipeline, convert, convert_async, convert_batch, convert_batch_async

_HOME = {
    "DocumentResult": "document",
    "PageResult": "document",
    "PageStatus": "document",
    "AccelError": "errors",
    "InputError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "UsageError": "errors",
    "Options": "options",
    "Pipeline": "pipeline",
    "convert": "pipeline",
    "convert_async": "pipeline",
    "convert_batch": "pipeline",
    "convert_batch_async": "pipeline",
}

__all__ = [
    "AccelError",
    "DocumentResult",
    "InputError",
    "ModelError",
    "Options",
    "OutputError",
    "PageResult",
    "PageStatus",
    "Pipeline",
    "UsageError",
    "__version__",
    "convert",
    "convert_async",
    "convert_batch",
    "convert_batch_async",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
