"""DocBank's line labels grouped into regions.

``python -m samples.training.layout.docbank DOCBANK_DIR OUT [--held-out]`` writes ``OUT/NNN.json`` beside links
``OUT/NNN.pdf``, in the format of :mod:`.synth`. Lines come from the PDF's text layer; DocBank's fragments say of which
class each is. Lines become blocks by the page's own line pitch, indents, marks of lists and references; displayed
formulas that DocBank calls paragraphs are known by their place and the lack of words, captions by their first word.
What ink is left over becomes figures; rows of their own at the top and bottom are page furniture. Pages on which a
caption has no figure or table, or much text has no label, are left out. Every eighth paper is held out.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pypdfium2 as pdfium

from mineru_accel.layout.classes import CLASS_IDS

from .dataset import MASK
from .textlines import FIGURE_WORD, NUMBER, TABLE_WORD, Box, gap, hull, lines_of, merge, overlap, shared

HELD_OUT_EVERY, HELD_OUT_REST = 8, 3
"""Papers (in the order of their names) whose number leaves this rest are held out: 12 of 95."""
TEXT = ("paragraph", "abstract", "list", "reference")
SCALE = 100 / 72
CAPTION = r"\s*[.:：|–—]|\s*$|\s*\([A-Za-z ]*\)|\s+[A-Z]"
ENTRY = re.compile(r"\[\w[^\]]{0,12}\]|\(\d+\)|\d{1,3}\.(\s|[A-Z])")
ITEM = re.compile(r"[•·∙–—▪◦∗*\-]\s|\(?([ivx]{1,4}|[a-z]|\d{1,2})\)\s|\d{1,2}\.\s|(\d|[A-Z])[.)]\s|[•●■]")
SECTION = re.compile(r"(\d+|[IVX]+|[A-Z])(\.\d+)*\.?\s")
WORDS = {"sin", "cos", "tan", "exp", "log", "max", "min", "lim", "sup", "inf", "det", "tr", "arg", "diag", "and", "for",
         "with", "where", "otherwise", "all", "mod", "dim", "ker", "rank", "var", "cov", "sinh", "cosh", "tanh", "such",
         "that", "if", "else", "const", "eff", "tot", "kin", "rel", "obs", "int", "ext", "out"}  # fmt: skip


@dataclass
class Line:
    """A line of text, its class by vote, and its place."""

    kind: str
    text: str
    box: Box

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


@dataclass
class Block:
    """Lines of one region."""

    kind: str
    lines: list[Line] = field(default_factory=list)

    @property
    def box(self) -> Box:
        return hull([line.box for line in self.lines])

    @property
    def text(self) -> str:
        return self.lines[0].text


def voted(text: list[tuple[str, Box]], fragments: list[list]) -> list[Line]:
    """Each line with the class of most of its area; ``""`` where DocBank says nothing."""
    lines = []
    for words, box in text:
        votes: dict[str, float] = {}
        for kind, *b in fragments:
            w, h = min(box[2], b[2]) - max(box[0], b[0]), min(box[3], b[3]) - max(box[1], b[1])
            if w > 0 and h > 0.3 * min(box[3] - box[1], b[3] - b[1]):
                votes[kind] = votes.get(kind, 0) + w
        kind = max(votes, key=lambda k: votes[k]) if votes else ""
        if kind == "equation" and sum(v for k, v in votes.items() if k in TEXT) > 0.25 * (box[2] - box[0]):
            kind = max((k for k in votes if k in TEXT), key=lambda k: votes[k])  # a row of text with much mathematics
        lines.append(Line(kind, words, list(box)))
    return lines


def pitch(lines: list[Line], default: float) -> float:
    """The commonest distance of a line from the one below it."""
    steps = []
    for a in lines:
        below = [
            b.middle - a.middle
            for b in lines
            if 5 < b.middle - a.middle < 45 and overlap(a.box[0], a.box[2], b.box[0], b.box[2]) > 0.7
        ]
        if below:
            steps.append(min(below))
    if len(steps) < 3:
        return default
    hist = np.bincount(np.round(np.asarray(steps) * 2).astype(int), minlength=92)
    smooth = hist + 0.5 * np.roll(hist, 1) + 0.5 * np.roll(hist, -1)
    return float(smooth.argmax()) / 2


def is_formula(line: Line, left: float, right: float) -> bool:
    """Whether a row called text stands like a displayed formula: set in, and without words."""
    if line.box[0] < left + 12 or line.box[2] > right - 12:
        return False
    words = [w for w in re.findall(r"[A-Za-zäöüéè]{3,}", line.text) if w.lower() not in WORDS]
    signs = len(re.findall(r"[=<>≤≥≈∼+−±∈→∫∑∏∂∞⟨⟩|×·∇√≡∀]", line.text))
    letters = sum(len(w) for w in words)
    return (
        signs > 0
        and letters < 0.25 * max(4, len(line.text.replace(" ", "")))
        and len(words) <= 1 + len(line.text) // 40
    )


def split_columns(lines: list[Line], width: float) -> list[tuple[float, float]]:
    """Left and right edges of the columns that paragraphs stand in: one or two."""
    body = [v.box for v in lines if v.kind in TEXT and v.box[2] - v.box[0] > 0.2 * width]
    middle = width / 2
    left, right = [b for b in body if b[2] < middle + 10], [b for b in body if b[0] > middle - 10]
    if len(left) > 4 and len(right) > 4 and len(left) + len(right) > 0.6 * len(body):
        return [edges(left), edges(right)]
    return [edges(body)] if body else [(0.1 * width, 0.9 * width)]


def edges(boxes: list[Box]) -> tuple[float, float]:
    return float(np.percentile([b[0] for b in boxes], 15)), float(np.percentile([b[2] for b in boxes], 80))


def stack(lines: list[Line], kinds: tuple[str, ...], step: float, indents: bool) -> list[Block]:
    """Lines one below the other become blocks; ``step`` is the usual line pitch in points."""
    out: list[Block] = []
    for line in sorted((v for v in lines if v.kind in kinds), key=lambda v: (round(v.middle), v.box[0])):
        best, beside = None, False
        for block in out:
            last = block.lines[-1]
            if block.kind != line.kind:
                continue
            down = line.middle - last.middle
            tall = max(line.box[3] - line.box[1], last.box[3] - last.box[1])
            level = overlap(last.box[1], last.box[3], line.box[1], line.box[3]) > 0.5
            near = max(line.box[0], last.box[0]) - min(line.box[2], last.box[2])
            if level and near < 14:
                best, beside = block, True
                break
            if 0 < down <= max(1.22 * step, 0.5 * tall + 0.72 * step) and not level:
                wide = overlap(block.box[0], block.box[2], line.box[0], line.box[2]) > 0.6
                if wide and (best is None or last.middle > best.lines[-1].middle):
                    best = block
        if best is not None and indents and not beside and starts(best, line, step):
            best = None
        if best is None:
            out.append(Block(line.kind, [line]))
        else:
            best.lines.append(line)
    return out


def starts(block: Block, line: Line, step: float) -> bool:
    """Whether a line begins a region of its own below a block it could belong to."""
    last, left, right = block.lines[-1], block.box[0], max(block.box[2], line.box[2])
    many = len(block.lines) > 1
    short = last.box[2] < right - 12
    indent = line.box[0] - (left if many else last.box[0])
    if line.kind == "reference":
        if ENTRY.match(line.text):
            return line.box[0] < left + 12
        return not ENTRY.match(block.text) and (
            (many and line.box[0] < last.box[0] - 5) or (not many and short and indent < 2 and last.box[2] < right - 40)
        )
    if line.kind == "list" or (ITEM.match(block.text) and short):
        if ITEM.match(line.text) and line.box[0] < left + 25:
            return True
        return many and line.box[0] < last.box[0] - 8 and short
    if 5 < indent < 42 and (not many or abs(last.box[0] - left) < 3):
        return True
    return short and line.middle - last.middle > 1.12 * step and last.box[2] < right - 25


def furniture(lines: list[Line], height: float, step: float) -> list[Line]:
    """Rows of their own at the very top and bottom."""
    out: list[Line] = []
    for top in (True, False):
        for _ in range(3):
            rest = [v for v in lines if v not in out and v.kind not in ("figure", "footer")]
            if len(rest) < 3:
                break
            edge = (min if top else max)(rest, key=lambda v: v.middle)
            row = [v for v in rest if abs(v.middle - edge.middle) < 4]
            others = [v for v in rest if v not in row]
            free = (
                min(v.box[1] for v in others) - max(v.box[3] for v in row)
                if top
                else min(v.box[1] for v in row) - max(v.box[3] for v in others)
            )
            near = max(v.box[3] for v in row) < 0.13 * height if top else min(v.box[1] for v in row) > 0.86 * height
            text = "".join(v.text for v in row).replace(" ", "")
            digits = re.fullmatch(r"[–-]*[\divxlIVXL]{1,5}[–-]*|(?i:page)\d+.*", text) is not None
            if any(v.kind in ("section", "title", "caption", "table", "equation") for v in row) and not digits:
                break
            first = not any((v.middle < height / 2) == top for v in out)
            apart = free > max(9.0, 1.1 * step - 10) if top else free > 1.5 * step
            if not near or not ((digits and free > 2) or (first and apart and len(text) < 110)):
                break
            out += row
    return out


def regions(fragments: list[list], width: float, height: float, page: pdfium.PdfPage) -> list[tuple[str, Box]] | None:
    """Labels and boxes of one page; None if it would teach mistakes."""
    fragments = [v for v in fragments if v[3] - v[1] > 0.5 and v[4] - v[2] > 0.5]
    scale_x, scale_y = width / page.get_width(), height / page.get_height()
    text = [
        (t, [b[0] * scale_x, b[1] * scale_y, b[2] * scale_x, b[3] * scale_y])
        for t, b in lines_of(page, page.get_height())
    ]
    text = [(t, b) for t, b in text if not (b[2] < 0.06 * width and b[3] - b[1] > 80)]  # the stamp at the edge
    lines = voted(text, fragments)
    columns = split_columns(lines, width)
    for v in lines:  # characters with a box much wider than their ink
        v.box[0], v.box[2] = max(0.0, v.box[0]), min(width, v.box[2])
        if v.kind in TEXT and len(columns) == 2:
            for low, high in columns:
                if low - 30 < v.box[0] < high - 20 and high + 8 < v.box[2] < high + 0.35 * (high - low):
                    v.box[2] = high + 2
    body = [v for v in lines if v.kind in TEXT]
    step = pitch(body, 12.0)
    out: list[tuple[str, Box]] = []
    head = furniture(lines, height, step)
    out += [("abandon", b) for b in merge([v.box for v in head], 14, 3)]
    lines = [v for v in lines if v not in head]
    # Formulas that DocBank calls text, numbers of formulas, captions by their first word.
    for v in lines:
        home = [c for c in columns if c[0] - 6 <= v.box[0] and v.box[2] <= c[1] + 6]
        if v.kind in ("paragraph", "abstract", "list", "") and any(is_formula(v, *c) for c in home):
            v.kind = "equation"
        if v.kind in ("paragraph", "") and (
            re.match(FIGURE_WORD + r"(\s*[.:]|$)", v.text) or re.match(TABLE_WORD + r"(\s*[.:]|$)", v.text)
        ):
            v.kind = "caption"
    # Pieces of large formulas.
    for _ in range(3):
        known_formulas = [v.box for v in lines if v.kind == "equation"]
        for v in lines:
            wordless = not any(w.lower() not in WORDS for w in re.findall(r"[A-Za-z]{3,}", v.text))
            piece = v.kind in ("paragraph", "list", "") and v.box[2] - v.box[0] < 110 and wordless
            if (
                piece
                and not NUMBER.fullmatch(v.text.replace(" ", ""))
                and any(gap(v.box, f) < 12 for f in known_formulas)
            ):
                v.kind = "equation"
    for first in [v for v in lines if v.kind == "table" and re.match(TABLE_WORD + r"(\s*[.:]|$)", v.text)]:
        last = first
        first.kind = "caption"
        for v in sorted((v for v in lines if v.kind == "table"), key=lambda v: v.middle):
            words = re.findall(r"[A-Za-z]{2,}", v.text)
            if (
                0 < v.middle - last.middle < 1.3 * step
                and len(words) > 4
                and sum(map(len, words)) > 0.6 * len(v.text.replace(" ", ""))
            ):
                v.kind, last = "caption", v
    display = [v for v in lines if v.kind == "equation"]
    for v in lines:
        if NUMBER.fullmatch(v.text.replace(" ", "")) and any(
            overlap(v.box[1], v.box[3], e.box[1], e.box[3]) > 0.4 and gap(v.box, e.box) > 4
            for e in display
            if e is not v
        ):
            v.kind = "number"
    out += [("formula_caption", v.box) for v in lines if v.kind == "number"]
    formulas = merge([v.box for v in lines if v.kind == "equation"], 40, max(6.0, 0.55 * step))
    out += [("isolate_formula", f) for f in formulas if f[2] - f[0] > 14 and f[3] - f[1] > 4]
    tiny = [f for f in formulas if not (f[2] - f[0] > 14 and f[3] - f[1] > 4)]
    # Lines of a caption that DocBank calls text: below a caption's first line, as close as its own lines.
    captions = stack(lines, ("caption",), pitch([v for v in lines if v.kind == "caption"], 0.9 * step), False)
    for block in captions:
        if len(block.lines) == 1 or re.match(FIGURE_WORD + "|" + TABLE_WORD[4:], block.text):
            for v in sorted((v for v in lines if v.kind == "paragraph"), key=lambda v: v.middle):
                last = block.lines[-1]
                height_of = last.box[3] - last.box[1]
                aligned = (
                    abs(v.box[0] - block.box[0]) < 4 or overlap(v.box[0], v.box[2], block.box[0], block.box[2]) > 0.95
                )
                smaller = v.box[3] - v.box[1] < 1.15 * height_of
                full = last.box[2] > max(w.box[2] for w in block.lines) - 8 and last.box[2] - last.box[0] > 0.7 * (
                    columns[0][1] - columns[0][0]
                )
                if aligned and smaller and full and 0 < v.middle - last.middle < 1.1 * min(step, 14):
                    v.kind = "caption"
                    block.lines.append(v)
    small = pitch([v for v in lines if v.kind == "footer"], 0.85 * step)
    for kinds, label, pace, indents in (
        (("paragraph",), "plain text", step, True), (("abstract",), "plain text", step, True),
        (("list",), "plain text", step, True),
        (("reference",), "plain text", pitch([v for v in lines if v.kind == "reference"], step), True),
        (("author", "date"), "plain text", 1.1 * step, False), (("title",), "title", 24.0, False),
        (("footer",), "abandon", small, False),
    ):  # fmt: skip
        out += [(label, b.box) for b in stack(lines, kinds, pace, indents)]
    for block in stack(lines, ("section",), min(step, 15.0) * 1.1, False):
        group: list[Line] = []
        for v in block.lines:
            if group and SECTION.match(v.text) and abs(v.box[0] - group[0].box[0]) < 40:
                out.append(("title", hull([w.box for w in group])))
                group = []
            group.append(v)
        out.append(("title", hull([w.box for w in group])))
    cells = [v.box for v in lines if v.kind == "table"]
    cells += [v[1:] for v in fragments if v[0] == "table" and not any(inside(v[1:], c.box) for c in captions)]
    tables = [t for t in merge_cells(cells, captions, columns, width) if t[3] - t[1] > 14]
    out = [(label, b) for label, b in out if not any(inside(b, t) for t in tables)]

    known = [b for _, b in out] + tables + [b.box for b in captions]
    hints = [v[1:] for v in fragments if v[0] == "figure"]
    figures = pictures(page, known, hints, width, height)
    figures = [
        f
        for f in figures
        if not any(overlap(f[0], f[2], t[0], t[2]) > 0.6 and overlap(f[1], f[3], t[1], t[3]) > 0.6 for t in tables)
    ]
    for block in captions:
        if any(inside(block.box, f) for f in [*figures, *tables]):
            continue
        near_table = min((gap(t, block.box) for t in tables), default=1e9)
        near_figure = min((gap(f, block.box) for f in figures), default=1e9)
        if re.match(TABLE_WORD, block.text):
            label = "table_caption"
        elif re.match(FIGURE_WORD, block.text):
            label = "figure_caption"
        else:
            label = "table_caption" if near_table < near_figure else "figure_caption"
        if min(near_table, near_figure) > 60:
            return None  # its figure or table was not found
        out.append((label, block.box))
    out += [("table", t) for t in tables] + [("figure", f) for f in figures]
    out = absorb(with_axes(out))
    # Lines without a label: those in figures are known; the rest is painted over, if little.
    covered = [b for _, b in out]
    left_over = [v for v in lines if not any(centre(v.box, b) for b in covered)] + [Line("", "", b) for b in tiny]
    lost = sum(len(v.text) for v in left_over)
    if lost > 0.05 * sum(len(v.text) for v in lines):
        return None
    return out + [("mask", v.box) for v in left_over]


def with_axes(found: list[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """Figures take in the short texts at their edges: numbers and names of axes, letters of panels."""
    out = list(found)
    for _ in range(4):
        before = len(out)
        for _, f in [v for v in out if v[0] == "figure"]:
            for other, b in list(out):
                w, h = b[2] - b[0], b[3] - b[1]
                if other not in ("plain text", "isolate_formula", "formula_caption") or min(w, h) > 26:
                    continue
                if max(w, h) > 130 or w > 0.8 * (f[2] - f[0]) or gap(f, b) > 11:
                    continue
                x, y = (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
                if f[0] - 20 < x < f[2] + 20 and f[1] - 20 < y < f[3] + 20:
                    out.remove((other, b))
                    f[:] = hull([f, b])
        if len(out) == before:
            break
    return out


def centre(a: Box, b: Box) -> bool:
    return b[0] - 3 <= (a[0] + a[2]) / 2 <= b[2] + 3 and b[1] - 3 <= (a[1] + a[3]) / 2 <= b[3] + 3


def inside(a: Box, b: Box) -> bool:
    """Whether most of ``a`` lies in ``b``."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return w > 0 and h > 0 and w * h > 0.6 * (a[2] - a[0]) * (a[3] - a[1])


def merge_cells(cells: list[Box], captions: list[Block], columns: list[tuple[float, float]], width: float) -> list[Box]:
    """Tables from their cells: wide gaps between columns are bridged, but not the gutter of a two-column page."""
    if len(columns) == 1:
        return merge(cells, 150, 14)
    middle = (columns[0][1] + columns[1][0]) / 2
    spanning = [c.box for c in captions if c.box[0] < middle - 20 and c.box[2] > middle + 20]
    sides: list[list[Box]] = [[], [], []]
    for cell in merge(cells, 16, 14):
        across = cell[0] < middle - 15 and cell[2] > middle + 15
        near = any(c[1] - 250 < (cell[1] + cell[3]) / 2 < c[3] + 250 for c in spanning)
        sides[2 if across or near else int(cell[0] > middle - 15)].append(cell)
    return [t for side in sides for t in merge(side, 150, 14)]


def absorb(found: list[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """Stray runs of text inside a larger block become part of it."""
    out = sorted(found, key=lambda v: -(v[1][2] - v[1][0]) * (v[1][3] - v[1][1]))
    i = len(out) - 1
    while i > 0:
        label, b = out[i]
        for j in range(i):
            host, a = out[j]
            part = shared(a, b)[1]
            same = host == label and label in ("plain text", "title", "figure_caption", "table_caption", "abandon")
            stray = label in ("plain text", "isolate_formula") and host != "formula_caption"
            if part > (0.3 if same else 0.6) and (same or stray):
                if same:
                    out[j] = (host, hull([a, b]))
                del out[i]
                break
        i -= 1
    return out


def pictures(
    page: pdfium.PdfPage, known: list[list[float]], hints: list[list[float]], width: float, height: float
) -> list[list[float]]:
    """Figures: ink that no label explains, in large enough lumps."""
    grey = page.render(scale=SCALE, grayscale=True).to_numpy()
    ink = (grey.reshape(grey.shape[:2]) < 235).astype(np.uint8)
    for x0, y0, x1, y1 in known:
        ink[
            max(0, int((y0 - 3) * SCALE)) : int((y1 + 3) * SCALE) + 1,
            max(0, int((x0 - 5) * SCALE)) : int((x1 + 5) * SCALE) + 1,
        ] = 0
    for x0, y0, x1, y1 in hints:
        ink[int(y0 * SCALE) : int(y1 * SCALE) + 1, int(x0 * SCALE) : int(x1 * SCALE) + 1] = 1
    ink[:, : int(0.045 * width * SCALE)] = 0
    joined = cv2.dilate(ink, np.ones((13, 13), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    out = []
    for x, y, w, h, _ in stats[1:]:
        part = ink[y : y + h, x : x + w]
        ys, xs = np.nonzero(part)
        if not len(ys):
            continue
        b = [(x + xs.min()) / SCALE, (y + ys.min()) / SCALE, (x + xs.max() + 1) / SCALE, (y + ys.max() + 1) / SCALE]
        if b[2] - b[0] > 45 and b[3] - b[1] > 32:
            out.append(b)
    out = merge(out, 12, 12)
    return [
        b
        for b in out
        if not any(
            k[0] < b[2] - 4
            and k[2] > b[0] + 4
            and k[1] < b[3] - 4
            and k[3] > b[1] + 4
            and (k[2] - k[0]) * (k[3] - k[1]) > 0.3 * (b[2] - b[0]) * (b[3] - b[1])
            for k in known
        )
    ]


def broken(found: list[tuple[str, list[float]]]) -> bool:
    """Whether regions overlap so much that the page teaches nothing."""
    bad = 0
    found = [v for v in found if v[0] != "mask"]
    for i, (_, a) in enumerate(found):
        for _, b in found[i + 1 :]:
            w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            if w > 2 and h > 2 and w * h > 0.35 * min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])):
                bad += 1
    return bad > 1 + len(found) // 25 or len(found) < 2


def main() -> None:
    """Command line."""
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    held_out_only = "--held-out" in sys.argv
    out.mkdir(parents=True, exist_ok=True)
    labels = json.loads(gzip.decompress((source / "labels.json.gz").read_bytes()))
    kept = lost = 0
    for i, name in enumerate(sorted(labels)):
        if held_out_only and i % HELD_OUT_EVERY != HELD_OUT_REST:
            continue
        document = pdfium.PdfDocument(source / name)
        pages = []
        for k, page in enumerate(labels[name]):
            if not page or k >= len(document):
                pages.append({"family": "docbank", "boxes": None})
                continue
            w, h = page["size"]
            found = regions(page["lines"], w, h, document[k])
            bad = found is None or broken(found)
            lost += bad
            kept += not bad
            boxes = (
                None
                if bad or found is None
                else [[MASK if c == "mask" else CLASS_IDS[c], *(round(float(v), 1) for v in b)] for c, b in found]
            )
            pages.append({"family": "docbank", "size": [w, h], "boxes": boxes})
        split = "test" if i % HELD_OUT_EVERY == HELD_OUT_REST else "train"
        (out / f"{i:03d}.json").write_text(
            json.dumps({"split": split, "name": name, "pages": pages}, separators=(",", ":"))
        )
        link = out / f"{i:03d}.pdf"
        link.unlink(missing_ok=True)
        link.symlink_to(source / name)
        print(i, split, name, len(pages), kept, lost, flush=True)


if __name__ == "__main__":
    main()
