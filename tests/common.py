"""Names that several test files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"

MakePdf = Callable[..., Path]
"""The fixture ``make_pdf``."""

FILLER = (
    "for a few lines more, so that nobody takes the paragraph for a running head,",
    "since headers and footers stand in no Markdown. The last line is a short one.",
)
"""Lines that make a paragraph of one line, so that nobody takes it for a running head."""
