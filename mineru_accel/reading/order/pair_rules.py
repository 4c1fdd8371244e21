"""Reading order by two rules on pairs of boxes, for boxes that no straight cut separates.

The rules are those of T. Breuel, "High performance document layout analysis" (SDIUT 2003): of two boxes that share a
column, the upper comes first; of others the left one, unless a box that spans both lies between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...document import BBox

_MAX_SPANNING = 150
"""Boxes; with more, boxes between two others are ignored, since looking for them takes cubic time."""


def order_by_pairs(boxes: Sequence[BBox]) -> list[int]:
    """A topological order of boxes by the two rules, as indices.

    Args:
        boxes: in any unit that is the same for x and y, origin top left.
    """
    count = len(boxes)
    if count < 2:
        return list(range(count))
    box = np.array(boxes)
    before = _precedence(box)
    waiting = before.sum(axis=0)  # for each box the number of boxes that must come first
    rank = np.lexsort((box[:, 1], box[:, 0])).argsort()
    done = np.zeros(count, dtype=bool)
    out: list[int] = []
    for _ in boxes:
        # Next comes a box that violates the fewest rules; among equals one after the last box, or the leftmost.
        cost = waiting * 4 * count + rank
        if out:
            cost -= 2 * count * (before[out[-1]] & (waiting == 0))
        pick = int(np.where(done, np.iinfo(cost.dtype).max, cost).argmin())
        done[pick] = True
        waiting = waiting - before[pick]
        out.append(pick)
    return out


def _precedence(box: np.ndarray) -> np.ndarray:
    """The two rules as (n, n) bool: entry [a, b] says that a comes before b.

    Args:
        box: (n, 4).
    """
    count = len(box)
    width = box[:, 2] - box[:, 0]
    overlap = np.minimum(box[:, None, 2], box[None, :, 2]) - np.maximum(box[:, None, 0], box[None, :, 0])
    in_column = overlap > 0.3 * np.minimum(width[:, None], width[None, :])
    np.fill_diagonal(in_column, False)
    x, y = box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]
    above, left = y[:, None] < y[None, :], x[:, None] < x[None, :]
    spanned = np.zeros((count, count), dtype=bool)
    if count <= _MAX_SPANNING:
        for c in range(count):
            ends = np.outer(above[:, c] & in_column[:, c], above[c] & in_column[c])  # a above c above b
            spanned |= ends | ends.T
    return np.where(in_column | spanned, above, left)
