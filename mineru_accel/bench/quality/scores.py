"""Scores of one conversion against its ground truth, and their means."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from . import ground_truth
from .ground_truth import GroundTruth
from .reading_order import locate, order_distance
from .tables import html_tables, pairs, teds
from .text import levenshtein, normalize


def score(markdown: str, item: GroundTruth) -> dict[str, Any]:
    """The scores of one file's Markdown; lists have one value per table or formula of the truth."""
    text = normalize(_without_optional_text(ground_truth.plain_text(markdown), item))
    wanted = normalize(item.plain)
    longest = max(len(text), len(wanted))
    blocks = [block for b in item.texts if (block := normalize(b))]
    tables = pairs(html_tables(markdown), item.tables)
    return {
        "text": 1.0 - levenshtein(text, wanted) / longest if longest else 1.0,
        "order": order_distance(locate(text, blocks)) if blocks else None,
        "teds": [teds(found, true) if found else 0.0 for true, found in tables],
        "teds_s": [teds(found, true, structure=True) if found else 0.0 for true, found in tables],
        "formulas": _formula_distances(ground_truth.display_formulas(markdown), item.formulas),
    }


def _without_optional_text(plain: str, item: GroundTruth) -> str:
    """Text without the blocks that the truth lists as optional; a block may differ from its entry by a quarter."""
    ignored = {t for text in item.ignored if (t := normalize(text))}
    wanted = {t for text in item.texts if (t := normalize(text))}

    def optional(block: str) -> bool:
        nearest = min((_distance(block, other) for other in ignored), default=1.0)
        return nearest < 0.25 and all(_distance(block, other) > nearest for other in wanted)

    return "\n\n".join(part for part in re.split(r"\n\s*\n", plain) if not optional(normalize(part)))


def _distance(one: str, two: str) -> float:
    """Normalized edit distance; a lower bound of it where the lengths alone differ by a quarter or more."""
    longest, difference = max(len(one), len(two)), abs(len(one) - len(two))
    if not longest or difference / longest >= 0.25:
        return difference / longest if longest else 0.0
    return levenshtein(one, two) / longest


_LATEX_NOISE = re.compile(
    r"\\(?:tag|hspace|begin|end)\s*\{.*?\}|\\(?:left|right|displaystyle|quad|qquad|notag)(?![A-Za-z])|\\[,;:! ]|[\s$~]"
    r"|\\(?:math(?:bf|rm|it|bb|cal|sf|tt)|text(?:bf|rm|it)?|operatorname|boldsymbol|bm)(?![A-Za-z])"
)


def _formula_distances(found: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """Normalized edit distance of every true formula to the most similar one found, without fonts, spacing and tags."""
    cleaned = [_LATEX_NOISE.sub("", formula) for formula in found]
    out = []
    for formula in wanted:
        true = _LATEX_NOISE.sub("", formula)
        out.append(min((levenshtein(m, true) / max(len(m), len(true), 1) for m in cleaned), default=1.0))
    return out


def mean_scores(by_file: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Means over files (text, order), tables (TEDS) and formulas; None for a score without values."""
    out: dict[str, float | None] = {}
    for key in ("text", "order", "teds", "teds_s", "formulas"):
        values: list[float] = []
        for scores in by_file.values():
            value = scores[key]
            values += value if isinstance(value, list) else [] if value is None else [value]
        out[key] = round(statistics.fmean(values), 4) if values else None
    return out
