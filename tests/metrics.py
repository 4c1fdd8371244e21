"""Whether a conversion is right: reading order and table cells, exactly.

Texts: :mod:`mineru_accel.bench.quality.text`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mineru_accel.bench.quality.reading_order import locate
from mineru_accel.bench.quality.text import Grid, levenshtein, normalize, table_cells, text_similarity

__all__ = [
    "levenshtein",
    "normalize",
    "reading_order_exact",
    "table_cells",
    "tables_match",
    "text_similarity",
    "truth_blocks",
]


@dataclass
class Verdict:
    """True when there are no problems; otherwise they say what is wrong."""

    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.problems


def reading_order_exact(markdown: str, truth_blocks: Sequence[str], *, max_distance: float = 0.35) -> Verdict:
    """Whether the blocks occur in ``markdown`` in the order given.

    Every block is looked up by its best approximate match. The problems name the blocks that are missing (no
    match within ``max_distance`` of its length) and the fewest blocks whose removal leaves the rest in order.
    Equal matches in several places (the same words twice) count where they fit best.
    """
    names = [wanted for block in truth_blocks if (wanted := normalize(block))]
    located = locate(normalize(markdown), names, max_distance=max_distance)
    missing = [f"missing: {n[:60]!r}" for n, place in zip(names, located.places, strict=True) if place is None]
    found = zip(names, located.places, located.in_order, strict=True)
    return Verdict(missing + [f"out of order: {n[:60]!r}" for n, place, ok in found if place is not None and not ok])


def truth_blocks(regions: Path, *, formulas: bool = False) -> list[str]:
    """Texts of a ``NAME.regions.json`` in reading order, without page furniture.

    Formulas are left out unless asked for: without a VLM their text is not the LaTeX.
    """
    skip = {"abandon", "figure"} | (set() if formulas else {"isolate_formula", "formula_caption"})
    pages: list[dict[str, Any]] = json.loads(regions.read_text(encoding="utf-8"))
    return [r["text"] for page in pages for r in page["regions"] if r["label"] not in skip and r["text"]]


def tables_match(
    got: Sequence[Grid], want: Sequence[Grid], *, min_similarity: float = 1.0, strict: bool = True
) -> Verdict:
    """Whether two lists of tables have the same cells, table by table.

    ``strict`` compares cell by cell, spans and empty cells included. Otherwise each row's non-empty cells are
    compared in order, repeats side by side counted once, and rows without text left out: so a merged header may be
    merged otherwise. ``min_similarity`` < 1 allows for OCR in a cell; then spaces don't count either.
    """
    if len(got) != len(want):
        return Verdict([f"{len(got)} tables instead of {len(want)}"])
    problems: list[str] = []
    for number, (mine, theirs) in enumerate(zip(got, want, strict=True)):
        if not strict:
            mine, theirs = _filled(mine), _filled(theirs)
        if len(mine) != len(theirs):
            problems.append(f"table {number}: {len(mine)} rows instead of {len(theirs)}")
            continue
        for r, (row, wanted) in enumerate(zip(mine, theirs, strict=True)):
            if len(row) != len(wanted):
                problems.append(f"table {number} row {r}: {row} instead of {wanted}")
                continue
            for c, (cell, expected) in enumerate(zip(row, wanted, strict=True)):
                if not _alike(cell, expected, min_similarity):
                    problems.append(f"table {number} row {r} column {c}: {cell!r} instead of {expected!r}")
    return Verdict(problems)


def _filled(grid: Grid) -> Grid:
    rows = []
    for row in grid:
        cells = [cell for cell in row if cell]
        cells = [cell for i, cell in enumerate(cells) if i == 0 or cell != cells[i - 1]]
        if cells:
            rows.append(cells)
    return rows


def _alike(one: str, two: str, min_similarity: float) -> bool:
    if min_similarity < 1.0:
        one, two = one.replace(" ", ""), two.replace(" ", "")
    longest = max(len(one), len(two))
    return one == two or 1.0 - levenshtein(one, two) / longest >= min_similarity
