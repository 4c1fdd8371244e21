"""COCO scores of the layout model on pages with known regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...layout import load_detector
from ...layout.classes import CLASS_IDS
from ...pdf.opening import close_documents, open_page
from ...pdf.rendering import render
from ...pdf.types import Key
from .ground_truth import GroundTruth
from .layout_ap import average_precision


def layout_row(items: Sequence[GroundTruth]) -> dict[str, Any]:
    """The report's row with COCO AP of the layout model, on the pages whose regions are known."""
    detector = load_detector(conf=0.005)
    truths, found = [], []
    for item in items:
        for index, regions in enumerate(item.pages):
            with open_page(Key(str(item.file), None), index) as page:
                pixels = render(page, detector.imgsz / max(page.get_size()))
            boxes = [[CLASS_IDS[r.label], r.score, *r.bbox] for r in detector.detect([pixels])[0]]
            truths.append(np.asarray([[CLASS_IDS[n], *b] for n, b in regions], np.float64).reshape(-1, 5))
            found.append(np.asarray(boxes, np.float64).reshape(-1, 6))
    by_class = average_precision(truths, found)
    mean = by_class.get("mean", {"AP50": None, "AP50:95": None})
    name = f"layout model: {detector.name}"
    detector.close()
    close_documents()
    row = {"case": f"{len(truths)} pages", "system": name, "ap50": mean["AP50"], "ap": mean["AP50:95"]}
    return row | {"classes": by_class}
