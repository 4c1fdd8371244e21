"""DocBank's line labels grouped into regions.

``python -m samples.training.layout.docbank DOCBANK_DIR OUT`` writes ``OUT/NNN.json`` beside links ``OUT/NNN.pdf``, in
the format of :mod:`.synth`. Rows of one class become blocks at gaps, indents and column edges; displayed equations lose
their number; what ink the labels leave over becomes figures; short rows of their own at the top and bottom are page
furniture. ``HELD_OUT`` papers are marked ``"split": "test"``.
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

HELD_OUT_EVERY, HELD_OUT_REST = 8, 3
"""Papers (in the order of their names) whose number leaves this rest are held out: 12 of 95."""
TEXT = ("paragraph", "abstract", "list", "reference", "author", "date")
SCALE = 100 / 72


@dataclass
class Block:
    """Rows of one class, in points."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    rows: list[list[float]] = field(default_factory=list)

    @property
    def box(self) -> list[float]:
        return [self.x0, self.y0, self.x1, self.y1]

    def grow(self, box: list[float]) -> None:
        self.x0, self.y0 = min(self.x0, box[0]), min(self.y0, box[1])
        self.x1, self.y1 = max(self.x1, box[2]), max(self.y1, box[3])


def overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    """Shared length of two intervals over the shorter one's."""
    return (min(a1, b1) - max(a0, b0)) / max(1e-6, min(a1 - a0, b1 - b0))


def rows_of(lines: list[list], gap: float = 14) -> list[Block]:
    """Fragments of one class side by side become rows."""
    rows: list[Block] = []
    for kind, *box in sorted(lines, key=lambda v: (v[2], v[1])):
        for row in reversed(rows[-40:]):
            same_line = overlap(row.y0, row.y1, box[1], box[3]) > 0.5
            if row.kind == kind and same_line and max(row.x0, box[0]) - min(row.x1, box[2]) < gap:
                row.grow(box)
                break
        else:
            rows.append(Block(kind, *box))
    merged = True
    while merged:  # fragments that came out of order
        merged = False
        for i, a in enumerate(rows):
            for b in rows[i + 1 :]:
                if (
                    a.kind == b.kind
                    and overlap(a.y0, a.y1, b.y0, b.y1) > 0.5
                    and max(a.x0, b.x0) - min(a.x1, b.x1) < gap
                ):
                    a.grow(b.box)
                    rows.remove(b)
                    merged = True
                    break
            if merged:
                break
    return rows


def stack(rows: list[Block], kinds: tuple[str, ...], limit: float, indents: bool) -> list[Block]:
    """Rows one below the other become blocks."""
    out: list[Block] = []
    for row in sorted((r for r in rows if r.kind in kinds), key=lambda r: r.y0):
        height = min(row.y1 - row.y0, 14)
        best = None
        for block in out:
            last = block.rows[-1]
            gap = row.y0 - last[3]
            below = block.kind == row.kind and -0.7 * height < gap < limit * height
            if (
                below
                and overlap(block.x0, block.x1, row.x0, row.x1) > 0.6
                and (best is None or last[3] > best.rows[-1][3])
            ):
                best = block
        if best is not None and indents:
            last = best.rows[-1]
            left = min(r[0] for r in best.rows)
            right = max(max(r[2] for r in best.rows), row.x1)
            hanging = row.kind in ("reference", "list") and len(best.rows) > 1 and row.x0 < last[0] - 5
            entry = (
                row.kind == "reference" and len(best.rows) == 1 and abs(row.x0 - last[0]) < 2 and last[2] < right - 40
            )
            ends = last[2] < right - 12
            begins = row.x0 > left + 5 and (len(best.rows) > 1 or row.x0 > last[0] + 5)
            new_par = (
                row.kind == "paragraph"
                and begins
                and row.x0 < left + 40
                and (len(best.rows) == 1 or abs(last[0] - left) < 3)
            )
            blank = row.kind in TEXT and ends and row.y0 - last[3] > 0.45 * height and len(best.rows) > 1
            if hanging or entry or new_par or blank:
                best = None
        if best is None:
            out.append(Block(row.kind, *row.box, rows=[row.box]))
        else:
            best.grow(row.box)
            best.rows.append(row.box)
    return out


def numbers(page_chars: list[tuple[str, float, float, float, float]], block: Block, right: float) -> list[list[float]]:
    """Boxes of ``(12)`` at the right end of a displayed equation."""
    found = []
    chars = [
        c
        for c in page_chars
        if block.y0 - 3 <= (c[2] + c[4]) / 2 <= block.y1 + 3 and c[1] >= block.x0 and c[3] <= right + 6
    ]
    chars.sort(key=lambda c: c[1])
    rows: list[list] = []
    for c in chars:
        if c[1] < block.x0 + 20:
            continue
        for row in rows:
            if abs((row[-1][2] + row[-1][4]) / 2 - (c[2] + c[4]) / 2) < 3.5 and c[1] - row[-1][3] < 5:
                row.append(c)
                break
        else:
            rows.append([c])
    for row in rows:
        text = "".join(c[0] for c in row)
        if re.fullmatch(r"\(?[A-Z]?\.?\d+(\.\d+)*[a-z]?\)", text) and text[0] == "(" and row[-1][3] > right - 12:
            found.append(
                [min(c[1] for c in row), min(c[2] for c in row), max(c[3] for c in row), max(c[4] for c in row)]
            )
    return found


def regions(lines: list[list], width: float, height: float, page: pdfium.PdfPage) -> list[tuple[str, list[float]]]:
    """Labels and boxes of one page."""
    textpage = page.get_textpage()
    chars = []
    for i in range(textpage.count_chars()):
        c = textpage.get_text_range(i, 1)
        if c.strip():
            x0, y0, x1, y1 = textpage.get_charbox(i)
            chars.append((c, x0, height - y1, x1, height - y0))

    def text(box: list[float], n: int = 24) -> str:
        return "".join(
            c[0]
            for c in chars
            if box[0] - 1 <= (c[1] + c[3]) / 2 <= box[2] + 1 and box[1] - 1 <= (c[2] + c[4]) / 2 <= box[3] + 1
        )[:n]

    lines = [v for v in lines if v[3] - v[1] > 0.5 and v[4] - v[2] > 0.5]
    rows = rows_of([v for v in lines if v[0] not in ("figure", "table", "equation")])
    # Inline mathematics belongs to its row of text.
    display = []
    for kind, *box in (v for v in lines if v[0] == "equation"):
        home = None
        for row in rows:
            beside = max(row.x0, box[0]) - min(row.x1, box[2])
            if (
                row.kind in (*TEXT, "caption", "section", "footer")
                and overlap(row.y0, row.y1, box[1], box[3]) > 0.4
                and beside < 12
                and row.x1 - row.x0 > 12
            ):
                home = row
                break
        if home is None:
            display.append([kind, *box])
        else:
            home.x0, home.x1 = min(home.x0, box[0]), max(home.x1, box[2])
            if box[3] - box[1] < 16:
                home.y0, home.y1 = min(home.y0, box[1]), max(home.y1, box[3])
    rows = rows_of([[r.kind, *r.box] for r in rows], gap=10)

    out: list[tuple[str, list[float]]] = []
    for row in list(rows):
        if row.kind != "paragraph" or row.x1 - row.x0 > 70:
            continue
        start = text(row.box)
        beside = [
            c
            for c in rows
            if c.kind == "caption" and overlap(c.y0, c.y1, row.y0, row.y1) > 0.4 and -4 < c.x0 - row.x1 < 14
        ]
        if beside and re.match(r"(?i)(fig|tab)", start):
            row.kind = "caption"
        elif re.fullmatch(r"\([A-Z]?\.?\d+(\.\d+)*[a-z]?\)", start) and any(
            overlap(e[2], e[4], row.y0, row.y1) > 0.5 and e[3] < row.x0 for e in display
        ):
            out.append(("formula_caption", row.box))
            rows.remove(row)
    rows = rows_of([[r.kind, *r.box] for r in rows], gap=14)
    # Furniture: rows of their own at the very top and bottom.
    body = sorted(rows, key=lambda r: r.y0)
    for edge in (body, body[::-1]):
        for row in edge[:3]:
            others = [r for r in body if r is not row and overlap(r.y0, r.y1, row.y0, row.y1) < 0.3]
            if row.kind not in TEXT or not others:
                break
            top = edge is body
            if top:
                gap = min((r.y0 for r in others if r.y0 > row.y0), default=1e9) - row.y1
                near = row.y1 < 0.14 * height and all(r.y0 >= row.y0 - 2 for r in others)
            else:
                gap = row.y0 - max((r.y1 for r in others if r.y1 < row.y1), default=-1e9)
                near = row.y0 > 0.84 * height and all(r.y1 <= row.y1 + 2 for r in others)
            digits = re.fullmatch(r"[\d–-]{1,5}|Page\d+.*", text(row.box)) is not None
            if near and (gap > 9 or (digits and gap > 4)) and (row.x1 - row.x0 < 0.75 * width or gap > 14):
                out.append(("abandon", row.box))
                rows = [r for r in rows if r is not row]
            else:
                break
    for kinds, label, limit, indents in (
        (("paragraph", "abstract", "list", "reference"), "plain text", 0.75, True),
        (("author", "date"), "plain text", 0.5, False),
        (("title",), "title", 1.2, False), (("section",), "title", 0.4, False), (("footer",), "abandon", 0.35, False),
    ):  # fmt: skip
        out += [(label, b.box) for b in stack(rows, kinds, limit, indents)]
    tables = merge_cells([v[1:] for v in lines if v[0] == "table"], rows, width)
    tables = [t for t in tables if t[3] - t[1] > 14]
    # Displayed equations: rows close together are one.
    equations = [Block("equation", *b) for b in merge([v[1:] for v in display], 60, 7)]
    equations = [e for e in equations if e.x1 - e.x0 > 14 and e.y1 - e.y0 > 4]
    columns = [r for r in rows if r.kind == "paragraph" and r.x1 - r.x0 > 100]
    for e in equations:
        rights = [r.x1 for r in columns if r.x0 - 30 < e.x0 and r.x1 > e.x1 - 12]
        found = numbers(chars, e, min(rights) if rights else e.x1)
        for n in found:
            out.append(("formula_caption", n))
        if found:
            cut = min(n[0] for n in found)
            inside = [
                v for v in display if e.x0 - 1 <= v[1] and v[3] <= e.x1 + 1 and e.y0 - 1 <= v[2] and v[4] <= e.y1 + 1
            ]
            ends = [min(v[3], cut - 3) for v in inside if v[1] < cut - 3]
            left = [
                c for c in chars if e.y0 - 1 <= (c[2] + c[4]) / 2 <= e.y1 + 1 and e.x0 - 1 <= c[1] and c[3] < cut - 3
            ]
            e.x1 = max((c[3] for c in left), default=max(ends, default=e.x1))
            if e.x1 - e.x0 < 10:
                continue
        out.append(("isolate_formula", e.box))
    found = [n for label, n in out if label == "formula_caption"]
    out = [(label, b) for label, b in out if label != "plain text" or not any(inside_of(b, n) for n in found)]

    known = [b for _, b in out] + tables + [b.box for b in stack(rows, ("caption",), 0.75, False)]
    figures = pictures(page, known, [v[1:] for v in lines if v[0] == "figure"], width, height)
    figures = [
        f
        for f in figures
        if not any(overlap(f[0], f[2], t[0], t[2]) > 0.6 and overlap(f[1], f[3], t[1], t[3]) > 0.6 for t in tables)
    ]
    for b in stack(rows, ("caption",), 0.75, False):
        start = text(b.box)
        if re.match(r"(?i)tab", start):
            label = "table_caption"
        elif re.match(r"(?i)fig|scheme|plate|\(?[a-h]\)", start):
            label = "figure_caption"
        else:

            def distance(f: list[float], b: Block = b) -> float:
                return max(0, max(f[1] - b.y1, b.y0 - f[3])) + max(0, max(f[0] - b.x1, b.x0 - f[2]))

            near_table = min((distance(t) for t in tables), default=1e9)
            near_figure = min((distance(f) for f in figures), default=1e9)
            label = "table_caption" if near_table < near_figure else "figure_caption"
        out.append((label, b.box))
    out += [("table", t) for t in tables] + [("figure", f) for f in figures]
    return absorb(out)


def merge_cells(cells: list[list[float]], rows: list[Block], width: float) -> list[list[float]]:
    """Tables from their cells: wide gaps between columns are bridged, but not the gutter of a two-column page."""
    middle = width / 2
    text_left = any(r.kind == "paragraph" and r.x1 < middle + 5 and r.x1 - r.x0 > 0.25 * width for r in rows)
    text_right = any(r.kind == "paragraph" and r.x0 > middle - 5 and r.x1 - r.x0 > 0.25 * width for r in rows)
    if not (text_left and text_right):
        return merge(cells, 150, 14)
    spanning = [r for r in rows if r.kind == "caption" and r.x0 < middle - 20 and r.x1 > middle + 20]
    sides: list[list[list[float]]] = [[], [], []]
    for cell in merge(cells, 16, 14):
        across = cell[0] < middle - 15 and cell[2] > middle + 15
        near = any(r.y0 - 250 < (cell[1] + cell[3]) / 2 < r.y1 + 250 for r in spanning)
        sides[2 if across or near else int(cell[0] > middle - 15)].append(cell)
    return [t for side in sides for t in merge(side, 150, 14)]


def absorb(found: list[tuple[str, list[float]]]) -> list[tuple[str, list[float]]]:
    """Stray runs of text inside a larger block become part of it."""
    out = sorted(found, key=lambda v: -(v[1][2] - v[1][0]) * (v[1][3] - v[1][1]))
    i = len(out) - 1
    while i > 0:
        label, b = out[i]
        area = (b[2] - b[0]) * (b[3] - b[1])
        for j in range(i):
            host, a = out[j]
            w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            same = host == label and label in ("plain text", "title", "figure_caption", "table_caption", "abandon")
            stray = label == "plain text" and host in (
                "figure_caption",
                "table_caption",
                "abandon",
                "title",
                "isolate_formula",
                "table",
            )
            if w > 0 and h > 0 and w * h > (0.3 if same else 0.6) * area and (same or stray):
                if same:
                    out[j] = (host, [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])])
                del out[i]
                break
        i -= 1
    return out


def inside_of(a: list[float], b: list[float]) -> bool:
    """Whether most of ``a`` lies in ``b``."""
    return (
        overlap(a[0], a[2], b[0], b[2]) > 0.7
        and overlap(a[1], a[3], b[1], b[3]) > 0.5
        and a[2] - a[0] < 1.6 * (b[2] - b[0])
    )


def merge(boxes: list[list[float]], dx: float, dy: float) -> list[list[float]]:
    """Unite boxes nearer than that."""
    out = [list(b) for b in boxes]
    changed = True
    while changed:
        changed = False
        for i in range(len(out)):
            for j in range(len(out) - 1, i, -1):
                a, b = out[i], out[j]
                if max(a[0], b[0]) - min(a[2], b[2]) < dx and max(a[1], b[1]) - min(a[3], b[3]) < dy:
                    out[i] = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
                    del out[j]
                    changed = True
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
            bad = broken(found)
            lost += bad
            kept += not bad
            boxes = None if bad else [[CLASS_IDS[c], *(round(float(v), 1) for v in b)] for c, b in found]
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
