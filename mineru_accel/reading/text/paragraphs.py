"""Groups lines into paragraphs, for text that no detected region holds."""

from __future__ import annotations

from ..geometry import horizontal_overlap
from .lines import Line


def group_paragraphs(lines: list[Line]) -> list[list[Line]]:
    """Group lines (in reading order) into paragraphs: a line joins the last paragraph that it continues."""
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
    """Whether ``below`` is the next line of the paragraph of ``above``: of like height, close, and mostly under it."""
    height = max(above.bbox[3] - above.bbox[1], 1.0)
    gap = below.bbox[1] - above.bbox[3]
    like_height = 0.75 < (below.bbox[3] - below.bbox[1]) / height < 1.33
    close = -0.5 * height < gap < 0.6 * height
    narrower = min(above.bbox[2] - above.bbox[0], below.bbox[2] - below.bbox[0])
    return like_height and close and horizontal_overlap(above.bbox, below.bbox) > 0.7 * narrower
