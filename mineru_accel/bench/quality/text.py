"""Texts compared: what Markdown says, edit distances, table cells.

Everything compares normalized text (:func:`normalize`): what a reader would call the same text is the same here,
whatever the Markdown around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Sequence
from html import unescape

from ...export.html_tables import Cell, Table, parse_tables, placed

Grid = list[list[str]]
"""A table: rows of cell texts, a spanning cell repeated in every place that it covers."""

_MATH = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$\n]+?)(?<!\s)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.S)
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho final sigma tau upsilon "
    "phi chi psi omega"
)
_SYMBOLS = {name: chr(0x3B1 + i) for i, name in enumerate(_GREEK.split())}
_SYMBOLS |= {name.capitalize(): chr(0x391 + i) for i, name in enumerate(_GREEK.split())}
_SYMBOLS |= {"varepsilon": "ε", "varphi": "φ", "vartheta": "θ", "sum": "∑", "int": "∫", "prod": "∏", "times": "×"}
_SYMBOLS |= {"cdot": "·", "leq": "≤", "geq": "≥", "neq": "≠", "approx": "≈", "infty": "∞", "partial": "∂", "pm": "±"}
_SAME = str.maketrans({"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "’": "'", "‘": "'", "“": '"', "”": '"'})
_SAME |= dict.fromkeys((0xAD, 0x200B, 0xFEFF), "")
_WIDE = "[\u2e80-\u9fff\uff00-\uffef\u3000-\u303f]"


def _math(latex: str) -> str:
    """LaTeX as the bare characters that it sets, in source order."""
    latex = re.sub(r"\\tag\{(.*?)\}", r" (\1) ", latex)
    latex = re.sub(r"\\begin\{.*?\}(\{.*?\})?|\\end\{.*?\}|\\[,;:! ]|\\\\|&|~", " ", latex)
    latex = re.sub(r"\\([A-Za-z]+)\s*", lambda m: _SYMBOLS.get(m.group(1), ""), latex)
    return re.sub(r"\s+", "", re.sub(r"[{}^_\\]", "", latex))


def normalize(markdown: str, *, formulas: bool = True) -> str:
    """The plain text of some Markdown, NFKC, without syntax, in one line.

    Dashes and quotes are made straight, and spaces next to CJK characters dropped, since a text layer,
    OCR and a VLM differ in them without being wrong. What MinerU reads out of a picture (``<details>`` below it) is
    left out, like the picture. Formulas are reduced to their characters; with
    ``formulas=False`` display formulas are dropped.
    """
    text = re.sub(r"\\([$*#<>|~`+!.-])", lambda m: f"\ue000{ord(m.group(1)):04x}", markdown)
    text = re.sub(r"<details\b.*?</details>", " ", text, flags=re.S | re.I)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\(\s*\)", r"\1", text)
    if not formulas:
        text = re.sub(r"\$\$.+?\$\$|\\\[.+?\\\]", " ", text, flags=re.S)
    text = _MATH.sub(lambda m: _math(next(g for g in m.groups() if g is not None)), text)
    text = re.sub(r"</?(?:sup|sub|b|i|em|strong|u|s|span|a|font|mark|code)(?:\s[^<>]*)?>", "", text, flags=re.I)
    text = re.sub(r"<!--.*?-->|</?[a-zA-Z][^<>]*>", " ", text, flags=re.S)
    text = re.sub(r"(?m)^\s*\|?(?:\s*:?-{3,}:?\s*\|)+(?:\s*:?-{3,}:?)?\s*$|^\s*(?:-{3,}|\*{3,})\s*$", " ", text)
    text = re.sub(r"(?m)^\s*(?:#{1,6}|[-*+•]|>)\s+", "", text)
    text = re.sub(r"\*+|`+|\|", lambda m: " " if m.group(0) == "|" else "", text)
    text = re.sub("\ue000([0-9a-f]{4})", lambda m: chr(int(m.group(1), 16)), text)
    text = unicodedata.normalize("NFKC", unescape(text)).translate(_SAME)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(rf"(?<={_WIDE}) | (?={_WIDE})", "", text)


def levenshtein(one: Sequence[Hashable], two: Sequence[Hashable]) -> int:
    """Edit distance of texts or other sequences, exact: Myers' bit-parallel algorithm on Python's long integers.

    Two texts of 10,000 characters take about a tenth of a second.
    """
    return distances(one, two, anywhere=False)[-1] if two else len(one)


def distances(pattern: Sequence[Hashable], text: Sequence[Hashable], *, anywhere: bool) -> list[int]:
    """Distance of ``pattern`` to a piece of ``text`` that ends at each place.

    The piece begins where it is best (``anywhere``, Sellers' variant) or at the start of ``text``.
    """
    if not pattern:
        return [0] * len(text) if anywhere else list(range(1, len(text) + 1))
    masks: dict[Hashable, int] = {}  # for every item the bit mask of its places
    for place, item in enumerate(pattern):
        masks[item] = masks.get(item, 0) | 1 << place
    score = len(pattern)
    full, top = (1 << score) - 1, 1 << (score - 1)
    plus, minus, out = full, 0, []
    for item in text:
        equal = masks.get(item, 0)
        vertical = equal | minus
        diagonal = (((equal & plus) + plus) ^ plus) | equal
        up, down = minus | (full & ~(diagonal | plus)), plus & diagonal
        score += bool(up & top) - bool(down & top)
        up = (up << 1 | (0 if anywhere else 1)) & full
        down = (down << 1) & full
        plus, minus = down | (full & ~(vertical | up)), up & vertical
        out.append(score)
    return out


def text_similarity(markdown: str, truth: str, *, formulas: bool = True) -> float:
    """1 - normalized edit distance of the normalized texts: 1.0 is the same text, 0.0 nothing in common."""
    one, two = normalize(markdown, formulas=formulas), normalize(truth, formulas=formulas)
    longest = max(len(one), len(two))
    return 1.0 - levenshtein(one, two) / longest if longest else 1.0


def table_cells(markdown: str) -> list[Grid]:
    """The tables of some Markdown, HTML and pipe tables, in order; spanning cells are repeated."""
    found: list[tuple[int, Grid]] = []
    for match in re.finditer(r"<table\b.*?(?:</table>|\Z)", markdown, re.S | re.I):
        found += [(match.start(), _expand(table)) for table in parse_tables(match.group(0))]
    for match in re.finditer(r"(?m)^\|.*\|[ \t]*\n\|[ :|-]+\|[ \t]*(?:\n\|.*\|[ \t]*)*", markdown):
        lines = match.group(0).splitlines()
        cells = [re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in [lines[0], *lines[2:]]]
        found.append((match.start(), _expand([[Cell(text) for text in row] for row in cells])))
    return [grid for _, grid in sorted(found, key=lambda item: item[0])]


def _expand(table: Table) -> Grid:
    texts: dict[tuple[int, int], str] = {}
    for row, column, cell in placed(table):
        text = normalize(cell.content)
        for r in range(min(cell.rows, len(table) - row)):
            for c in range(cell.columns):
                texts.setdefault((row + r, column + c), text)
    width = max((c for _, c in texts), default=-1) + 1
    return [[texts.get((r, c), "") for c in range(width)] for r in range(len(table))]
