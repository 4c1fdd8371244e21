"""From PDFs and labels to pixels and boxes: pages rendered with their longer side at ``SIDE``, boxes tightened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

SIDE = 1280
PAD = 2  # pixels left around the ink
AS_DRAWN = (3, 5)  # figure, table: the element's own edge
MASK = -2  # a box to paint over: something there has no label


def tighten(grey: np.ndarray, box: list[float]) -> list[float] | None:
    """Shrink a box to what differs from its background; None if nothing does."""
    h, w = grey.shape
    x0, y0, x1, y1 = (round(v) for v in box)
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(w, x1), min(h, y1)
    crop = grey[y0:y1, x0:x1]
    if crop.size == 0:
        return None
    back = int(np.bincount(crop.ravel() >> 3, minlength=32).argmax()) * 8 + 4
    ink = np.abs(crop.astype(np.int16) - back) > 38
    rows, cols = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows) or not len(cols):
        return None
    return [
        max(0, x0 + cols[0] - PAD),
        max(0, y0 + rows[0] - PAD),
        min(w, x0 + cols[-1] + 1 + PAD),
        min(h, y0 + rows[-1] + 1 + PAD),
    ]


def paint_over(image: np.ndarray, box: list[float]) -> None:
    """Fill a box with the commonest colour around its edge."""
    h, w = image.shape[:2]
    x0, y0, x1, y1 = max(0, int(box[0])), max(0, int(box[1])), min(w, int(box[2]) + 1), min(h, int(box[3]) + 1)
    part = image[y0:y1, x0:x1]
    if part.size:
        edge = np.concatenate((part[0], part[-1], part[:, 0], part[:, -1]))
        part[:] = np.median(edge, 0)


def rules(grey: np.ndarray, box: list[float], reach: int = 12) -> list[float]:
    """Grow a table by the rules right above and below it."""
    x0, y0, x1, y1 = (int(v) for v in box)
    h = grey.shape[0]
    for y in range(max(0, y0 - reach), y0):
        if (grey[y, max(0, x0) : x1] < 200).mean() > 0.7:
            y0 = y - 1
            break
    for y in range(min(h - 1, y1 + reach), y1, -1):
        if (grey[y, max(0, x0) : x1] < 200).mean() > 0.7:
            y1 = y + 2
            break
    return [x0, y0, x1, y1]


def pages(path: Path) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Every labelled page of one document: RGB ``(H, W, 3) uint8``, ``(n, 5) float32`` of class and box, family."""
    import cv2
    import pypdfium2 as pdfium

    cv2.setNumThreads(1)
    out: list[tuple[np.ndarray, np.ndarray, str]] = []
    if not path.with_suffix(".json").exists():
        return out
    labels = json.loads(path.with_suffix(".json").read_text())
    if isinstance(labels, dict):
        labels = labels["pages"]
    document = pdfium.PdfDocument(path)
    for i, label in enumerate(labels):
        if not label["boxes"] or i >= len(document):
            continue
        page = document[i]
        scale = SIDE / max(page.get_size())
        image = page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3]
        image = np.ascontiguousarray(image[:SIDE, :SIDE])
        sx, sy = page.get_width() / label["size"][0] * scale, page.get_height() / label["size"][1] * scale
        for c, x0, y0, x1, y1 in label["boxes"]:
            if c == MASK:
                paint_over(image, [x0 * sx, y0 * sy, x1 * sx, y1 * sy])
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        boxes = []
        for c, x0, y0, x1, y1 in label["boxes"]:
            box: list[float] | None = [x0 * sx, y0 * sy, x1 * sx, y1 * sy]
            if c == MASK:
                continue
            if c not in AS_DRAWN:
                box = tighten(grey, box)
            elif c == 5 and label["family"] == "docbank":
                box = rules(grey, box)
            if box is not None and box[2] - box[0] >= 4 and box[3] - box[1] >= 4:
                boxes.append([c, *box])
        if boxes:
            out.append((image, np.asarray(boxes, np.float32), label["family"]))
    return out


def load(folder: Path, pool: Executor) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Pages of every document in a folder, rendered by the processes of a pool; broken documents give none."""
    files = sorted(folder.glob("*.pdf"))
    for path, future in zip(files, [pool.submit(pages, f) for f in files], strict=True):
        try:
            yield from future.result()
        except Exception as exc:
            print(path.name, type(exc).__name__, str(exc)[:100], flush=True)
