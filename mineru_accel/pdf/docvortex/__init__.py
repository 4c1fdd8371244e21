"""The adapter to docvortex, MinerU's own PDF library: no other folder names its modules.

:mod:`.documents` opens bytes; :mod:`.pages` gives a page's characters, ruled lines, tables and text styles;
:mod:`.characters` and :mod:`.spans` hold the rules for joining text; :mod:`.native` is the model-free analysis.
Worker processes only.
"""

from __future__ import annotations

LOADED_WHEN_NEEDED = (
    "docvortex.analyzers.native.pdf.inline.materialize",
    "docvortex.analyzers.native.pdf.table_materialization",
    "docvortex.analyzers.native.pdf.line_merging",
    "docvortex.document.pdf.snapshot_bridge",
    "docvortex.document.pdf._object_bridge",
)
"""Modules that docvortex imports inside functions: imported once before workers are forked, they cost each nothing."""
LOADED_BY_NATIVE_ANALYSIS = (
    "docvortex.analyzers.native.pdf.pipeline",
    "docvortex.analyzers.native.pdf._native_geometry",
)
"""The same for :mod:`.native`."""
