"""Decoding and duplicates."""

from __future__ import annotations

import numpy as np
import pytest

from mineru_accel.layout.postprocess import Detections, decode, iou_matrix, suppress_duplicates

SHAPE = (64, 96)
STRIDES = (8, 16, 32)
ANCHORS = 8 * 12 + 4 * 6 + 2 * 3


def raw(seed: int = 0, reg_max: int = 1, nc: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    boxes = rng.normal(2, 2, (4 * reg_max, ANCHORS)).astype(np.float32)
    return boxes, rng.normal(-1, 1.5, (nc, ANCHORS)).astype(np.float32)


@pytest.mark.parametrize("reg_max", [1, 16])
def test_as_the_package(package, reg_max):
    """Against the package's own DFL, anchors, decoding and top-k."""
    import torch
    from doclayout_yolo.nn.modules.block import DFL
    from doclayout_yolo.utils.ops import v10postprocess, xywh2xyxy
    from doclayout_yolo.utils.tal import dist2bbox, make_anchors

    boxes, logits = raw(reg_max=reg_max)
    maps = [torch.empty(1, 1, SHAPE[0] // s, SHAPE[1] // s) for s in STRIDES]
    anchors, strides = (x.transpose(0, 1) for x in make_anchors(maps, torch.tensor(STRIDES).float(), 0.5))
    distances = torch.from_numpy(boxes)[None]
    with torch.no_grad():
        distances = DFL(reg_max)(distances) if reg_max > 1 else distances
        decoded = dist2bbox(distances, anchors.unsqueeze(0), xywh=True, dim=1) * strides
        both = torch.cat([decoded, torch.from_numpy(logits)[None].sigmoid()], 1).transpose(1, 2)
        b, s, c = v10postprocess(both, 60, 10)
    found = decode(boxes, logits, SHAPE, STRIDES, conf=0.0, max_det=60)
    np.testing.assert_allclose(found.boxes, xywh2xyxy(b)[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(found.scores, s[0].numpy(), atol=1e-6)
    np.testing.assert_array_equal(found.classes, c[0].numpy())


def test_conf_is_exclusive_and_may_leave_nothing():
    boxes, logits = raw()
    logits[:] = 0
    assert len(decode(boxes, logits, SHAPE, STRIDES, conf=0.5)) == 0
    assert len(decode(boxes, logits, SHAPE, STRIDES, conf=0.49)) == 300
    assert len(suppress_duplicates(decode(boxes, logits, SHAPE, STRIDES, conf=0.5))) == 0


def test_not_a_number_is_no_detection():
    """A network that overflows in half precision loses boxes; it gives no wrong ones."""
    boxes, logits = raw()
    logits[:, :40] = np.nan
    boxes[:, 40:60] = np.inf
    found = decode(boxes, logits, SHAPE, STRIDES, conf=0.1)
    assert len(found)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()


def test_duplicates():
    boxes = np.array(
        [[0, 0, 100, 100], [0, 0, 100, 98], [0, 0, 100, 75], [0, 0, 100, 76], [20, 20, 40, 40], [200, 0, 300, 100]],
        np.float32,
    )
    classes = np.array([1, 2, 2, 1, 1, 1])
    found = Detections(boxes, np.linspace(0.9, 0.4, 6).astype(np.float32), classes)
    kept = suppress_duplicates(found)
    # 1 repeats 0 in another class, 3 in the same; 2 differs enough for another class; 4 only lies inside
    assert kept.boxes.tolist() == boxes[[0, 2, 4, 5]].tolist()
    assert kept.scores.tolist() == sorted(kept.scores.tolist(), reverse=True)


def test_a_dropped_box_drops_no_other():
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 80], [0, 0, 100, 62]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, int))
    assert suppress_duplicates(found).boxes.tolist() == boxes[[0, 2]].tolist()


def test_iou_of_empty_boxes():
    boxes = np.array([[5, 5, 5, 5], [0, 0, 10, 10], [9, 9, 3, 3]], np.float32)
    overlap = iou_matrix(boxes)
    assert np.isfinite(overlap).all()
    assert overlap[0].max() == overlap[2].max() == 0


def one_by_one(found: Detections, same_class: float = 0.7, cross_class: float = 0.8) -> list[int]:
    """What :func:`suppress_duplicates` keeps, as it is defined: pair by pair, best first."""
    kept: list[int] = []
    for i, (x0, y0, x1, y1) in enumerate(found.boxes):
        for k in kept:
            u0, v0, u1, v1 = found.boxes[k]
            inter = max(min(x1, u1) - max(x0, u0), np.float32(0)) * max(min(y1, v1) - max(y0, v0), np.float32(0))
            both = (u1 - u0) * (v1 - v0) + (x1 - x0) * (y1 - y0) - inter
            limit = same_class if found.classes[i] == found.classes[k] else cross_class
            if float(inter / max(both, np.float32(1e-9))) > limit:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("grid", [0, 10], ids=["any place", "on a grid, so that many overlaps are at a limit"])
def test_duplicates_pair_by_pair(grid):
    rng, dropped = np.random.default_rng(3), 0
    for n in (1, 2, 3, 40, 80):
        corner, size = rng.uniform(0, 60, (12, 2)), rng.uniform(20, 100, (12, 2))
        boxes = np.concatenate([corner, corner + size], 1)[rng.integers(0, 12, n)] + rng.normal(0, 4, (n, 4))
        boxes = (np.round(boxes / grid) * grid if grid else boxes).astype(np.float32)
        scores = np.sort(rng.integers(0, 9, n).astype(np.float32))[::-1]  # ties: the first of them stays
        found = Detections(boxes, scores, rng.integers(0, 3, n))
        kept, wanted = suppress_duplicates(found), found.take(np.array(one_by_one(found)))
        np.testing.assert_array_equal(kept.boxes, wanted.boxes, f"seed 3, {n} boxes")
        np.testing.assert_array_equal(kept.scores, wanted.scores, f"seed 3, {n} boxes")
        np.testing.assert_array_equal(kept.classes, wanted.classes, f"seed 3, {n} boxes")
        dropped += n - len(kept)
    assert dropped > 30


def test_limits_are_exclusive():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5]], np.float32)  # IoU 0.8 and 0.5, 0.625
    found = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 1]))
    over = float(np.float32(0.8)) - 1e-12  # the nearest float32 to a limit may lie on its other side
    assert len(suppress_duplicates(found, 0.7, float(np.float32(0.8)))) == 3
    assert len(suppress_duplicates(found, over, over)) == 2
