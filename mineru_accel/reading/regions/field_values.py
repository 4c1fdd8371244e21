"""The fields of a form: each value stands with the label left of it."""

from __future__ import annotations

from ...layout.classes import Label
from ..geometry import centre, union
from .areas import Area

_MIN_FIELDS = 2
"""Values with a label; a single one may stand level with any text."""


def join_values(areas: list[Area], values: list[Area]) -> None:
    """Append values, lines that a detector took for a table of one column, to their labels; changes both lists.

    Args:
        areas: of the page, labels among them: text of one line, level with the value and next to it on its left.
        values: areas of text. Where most have a label, those that have one are taken out.
    """
    labels = [a for a in areas if a.region.label == Label.PLAIN_TEXT and len(a.lines) == 1]
    pairs = [(value, label) for value in values if (label := _label_of(value, labels)) is not None]
    if len(pairs) < max(_MIN_FIELDS, len(values) / 2) or len({id(label) for _, label in pairs}) < len(pairs):
        return
    for value, label in pairs:
        label.lines = [*label.lines, *value.lines]
        label.fragments = [*label.fragments, *value.fragments]
        label.box = union([label.box, value.box])
        label.region.bbox = union([label.region.bbox, value.region.bbox])
        values.remove(value)


def _label_of(value: Area, labels: list[Area]) -> Area | None:
    if value.region.label != Label.PLAIN_TEXT or len(value.lines) != 1:
        return None
    y = centre(value.box)[1]
    level = [a for a in labels if a.box[1] < y < a.box[3] and a.box[2] <= value.box[0]]
    return max(level, key=lambda a: a.box[2], default=None)
