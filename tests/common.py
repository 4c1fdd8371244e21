"""Names that several test files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"

MakePdf = Callable[..., Path]
"""The fixture ``make_pdf``."""
