"""COCO's average precision of layout boxes, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from ...errors import UsageError
from ...layout.classes import CLASSES


def average_precision(truths: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
    """AP50 and AP50:95 by class name, and under ``mean`` those of the classes that occur.

    Args:
        truths: for every page ``(n, 5)``: class id and box ``(x0, y0, x1, y1)`` as fractions of the page.
        found: for every page ``(n, 6)``: class id, score and box.

    Raises:
        UsageError: if pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UsageError("scoring layout needs pycocotools: pip install 'mineru-accel[bench]'") from error

    unit = 1000.0
    annotations: list[dict] = []
    results: list[dict] = []
    for i, (truth, boxes) in enumerate(zip(truths, found, strict=True)):
        for c, x0, y0, x1, y1 in truth.tolist():
            w, h = (x1 - x0) * unit, (y1 - y0) * unit
            box = [x0 * unit, y0 * unit, w, h]
            key = {"id": len(annotations) + 1, "image_id": i, "category_id": int(c)}
            annotations.append({**key, "bbox": box, "area": w * h, "iscrowd": 0})
        for c, score, x0, y0, x1, y1 in boxes.tolist():
            box = [x0 * unit, y0 * unit, (x1 - x0) * unit, (y1 - y0) * unit]
            results.append({"image_id": i, "category_id": int(c), "bbox": box, "score": score})
    counts = {name: sum(int((t[:, 0] == i).sum()) for t in truths) for i, name in enumerate(CLASSES)}
    if not results or not annotations:
        return {n: {"n": c, "AP50": 0.0, "AP50:95": 0.0} for n, c in [*counts.items(), ("mean", len(annotations))] if c}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(truths))],
            "annotations": annotations,
            "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.params.maxDets = [1, 100, 300]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2]  # (IoU, recall, class)
    out: dict[str, dict[str, float]] = {}
    for i, name in enumerate(CLASSES):
        if counts[name]:
            p = precision[:, :, i]
            out[name] = {"n": counts[name], "AP50": float(p[0].mean()), "AP50:95": float(p.mean())}
    out["mean"] = {
        "n": len(annotations),
        "AP50": float(np.mean([v["AP50"] for v in out.values()])),
        "AP50:95": float(np.mean([v["AP50:95"] for v in out.values()])),
    }
    return out
