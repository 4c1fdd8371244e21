"""How good a conversion is: text similarity, reading order and table cells against the ground truth.

Everything compares normalized text (:func:`normalize`): what a reader would call the same text is the same here,
whatever the Markdown around it.
"""

from __future__ import annotations

import bisect
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

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


@dataclass
class Verdict:
    """True when there are no problems; otherwise they say what is wrong."""

    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.problems


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


def _columns(pattern: str) -> dict[str, int]:
    """For every character the bit mask of its places in ``pattern``."""
    masks: dict[str, int] = {}
    for place, char in enumerate(pattern):
        masks[char] = masks.get(char, 0) | 1 << place
    return masks


def levenshtein(one: str, two: str) -> int:
    """Edit distance, exact: Myers' bit-parallel algorithm on Python's long integers.

    Two texts of 10,000 characters take about a tenth of a second.
    """
    return _distances(one, two, anywhere=False)[-1] if two else len(one)


def _distances(pattern: str, text: str, *, anywhere: bool) -> list[int]:
    """Distance of ``pattern`` to a piece of ``text`` that ends at each place.

    The piece begins where it is best (``anywhere``, Sellers' variant) or at the start of ``text``.
    """
    if not pattern:
        return [0] * len(text) if anywhere else list(range(1, len(text) + 1))
    masks, score = _columns(pattern), len(pattern)
    full, top = (1 << score) - 1, 1 << (score - 1)
    plus, minus, out = full, 0, []
    for char in text:
        equal = masks.get(char, 0)
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


def reading_order_exact(markdown: str, truth_blocks: Sequence[str], *, max_distance: float = 0.35) -> Verdict:
    """Whether the blocks occur in ``markdown`` in the order given.

    Every block is looked up by its best approximate match. The problems name the blocks that are missing (no
    match within ``max_distance`` of its length) and the fewest blocks whose removal leaves the rest in order.
    Equal matches in several places (the same words twice) count where they fit best.
    """
    text = normalize(markdown)
    problems: list[str] = []
    names: list[str] = []
    chain: list[tuple[int, int]] = []  # the end of the best chain of each length: (place, number of its link)
    links: list[tuple[int, int, int]] = []  # (block, place, link before)
    for block in truth_blocks:
        wanted = normalize(block)
        if not wanted:
            continue
        distances = _distances(wanted, text, anywhere=True)
        best = min(distances, default=len(wanted))
        if best > max_distance * len(wanted):
            problems.append(f"missing: {wanted[:60]!r}")
            continue
        names.append(wanted)
        places = [i for i, d in enumerate(distances) if d == best]
        for place in reversed(places):  # descending, so that a block can't follow itself
            at = bisect.bisect_left(chain, (place, -1))
            links.append((len(names) - 1, place, chain[at - 1][1] if at else -1))
            chain[at : at + 1] = [(place, len(links) - 1)]
    kept: set[int] = set()
    link = chain[-1][1] if chain else -1
    while link >= 0:
        kept.add(links[link][0])
        link = links[link][2]
    problems += [f"out of order: {name[:60]!r}" for number, name in enumerate(names) if number not in kept]
    return Verdict(problems)


def truth_blocks(regions: Path, *, formulas: bool = False) -> list[str]:
    """Texts of a ``NAME.regions.json`` in reading order, without page furniture.

    Formulas are left out unless asked for: without a VLM their text is not the LaTeX.
    """
    skip = {"abandon", "figure"} | (set() if formulas else {"isolate_formula", "formula_caption"})
    pages: list[dict[str, Any]] = json.loads(regions.read_text(encoding="utf-8"))
    return [r["text"] for page in pages for r in page["regions"] if r["label"] not in skip and r["text"]]


class _Tables(HTMLParser):
    """Collects the cells of tables: (text, rowspan, colspan)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[tuple[str, int, int]]]] = []
        self.cell: tuple[list[str], int, int] | None = None

    def close_cell(self) -> None:
        if self.cell is not None:
            text, rows, columns = self.cell
            self.tables[-1][-1].append((normalize("".join(text)), rows, columns))
            self.cell = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.close_cell()
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.close_cell()
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.close_cell()
            spans = {k: int(v) for k, v in attrs if k in ("rowspan", "colspan") and v and v.isdigit()}
            self.cell = ([], max(spans.get("rowspan", 1), 1), max(spans.get("colspan", 1), 1))
        elif tag in ("br", "p") and self.cell is not None:
            self.cell[0].append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self.close_cell()

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell[0].append(data)


def _expand(rows: list[list[tuple[str, int, int]]]) -> Grid:
    places: dict[tuple[int, int], str] = {}
    for r, row in enumerate(rows):
        c = 0
        for text, high, wide in row:
            while (r, c) in places:
                c += 1
            for i in range(min(high, len(rows) - r)):
                for j in range(wide):
                    places.setdefault((r + i, c + j), text)
            c += wide
    width = max((c for _, c in places), default=-1) + 1
    return [[places.get((r, c), "") for c in range(width)] for r in range(len(rows))]


def table_cells(markdown: str) -> list[Grid]:
    """The tables of some Markdown, HTML and pipe tables, in order; spanning cells are repeated."""
    found: list[tuple[int, Grid]] = []
    for match in re.finditer(r"<table\b.*?(?:</table>|\Z)", markdown, re.S | re.I):
        parser = _Tables()
        parser.feed(match.group(0))
        parser.close()
        parser.close_cell()
        found += [(match.start(), _expand(rows)) for rows in parser.tables]
    for match in re.finditer(r"(?m)^\|.*\|[ \t]*\n\|[ :|-]+\|[ \t]*(?:\n\|.*\|[ \t]*)*", markdown):
        lines = match.group(0).splitlines()
        cells = [re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in [lines[0], *lines[2:]]]
        found.append((match.start(), _expand([[(normalize(c), 1, 1) for c in row] for row in cells])))
    return [grid for _, grid in sorted(found, key=lambda item: item[0])]


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
