"""doclayout_yolo's own predict, and what the same boxes means."""

from __future__ import annotations

import numpy as np

from mineru_accel.layout.postprocess import Detections

CONF = 0.15


def assert_same(a: Detections, b: Detections, pixels: float = 0.5, score: float = 1e-3, least: int = 4) -> None:
    """Every box of one has its like in the other, those on the edge of the threshold excepted."""
    assert len(a) >= least, "nothing to compare"
    for x, y in ((a, b), (b, a)):
        floor = max(CONF, x.scores.min() if len(x) == 300 else 0) + 2 * score
        for box, s, c in zip(x.boxes, x.scores, x.classes, strict=True):
            if s <= floor:
                continue
            like = (y.classes == c) & (np.abs(y.boxes - box).max(1) <= pixels) & (np.abs(y.scores - s) <= score)
            assert like.any(), f"no counterpart for class {c}, score {s:.4f}, box {box}"


def package_predict(yolo, page: np.ndarray, imgsz: int) -> Detections:
    """What ``YOLOv10(path).predict`` says of one RGB page."""
    (result,) = yolo.predict(page[:, :, ::-1], imgsz=imgsz, conf=CONF, device="cpu", verbose=False)
    found = result.boxes
    return Detections(found.xyxy.numpy(), found.conf.numpy(), found.cls.numpy().astype(int))
