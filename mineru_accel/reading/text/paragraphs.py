"""Text that no region holds: lines become paragraphs, so that nothing a detector missed is lost."""

from __future__ import annotations

from ..geometry import horizontal_overlap
from .lines import Line


def group_paragraphs(lines: list[Line]) -> list[list[Line]]:
    """Group lines (in reading order) into paragraphs: a line joins the group above it when it starts or ends flush with
    it and follows within one and a half line heights."""
    groups: list[list[Line]] = []
    for line in lines:
        for members in reversed(groups):
            if continues_paragraph(members[-1], line):
                members.append(line)
                break
        else:
            groups.append([line])
    return groups


def continues_paragraph(above: Line, below: Line) -> bool:
    """Is one line the next of the other's paragraph, by height, distance and margins?"""
    height = max(above.bbox[3] - above.bbox[1], 1.0)
    gap = below.bbox[1] - above.bbox[3]
    similar = 0.75 < (below.bbox[3] - below.bbox[1]) / height < 1.33
    narrower = min(above.bbox[2] - above.bbox[0], below.bbox[2] - below.bbox[0])
    return (
        similar and -0.5 * height < gap < 0.6 * height and horizontal_overlap(above.bbox, below.bbox) > 0.7 * narrower
    )
