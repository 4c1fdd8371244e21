"""Text that both a table and another region hold is read once: a table is recovered from all that lies in its box."""

from __future__ import annotations

from ...document import Region
from ...layout.classes import Label
from ..geometry import centre, holds, scaled
from .areas import Area
from .cleanup import TEXT


def separate_tables(areas: list[Area], size: tuple[float, float]) -> list[Area]:
    """Areas where no line of text lies in a table's box unless it is the table's.

    A table ends where the text of an overlapping region begins; a region in the midst of its rows becomes part of it.

    Args:
        areas: with their text; tables are changed in place.
        size: of the page in points.
    """
    taken: list[Area] = []
    for table in [a for a in areas if a.region.label == Label.TABLE and a.fragments]:
        for other in areas:
            if other.region.label in TEXT and not any(other is one for one in taken):
                inner = [line for line in other.lines if holds(table.box, *centre(line.bbox))]
                if not inner or _cut_off(table, min(i.bbox[1] for i in inner), max(i.bbox[3] for i in inner), size):
                    continue
                if len(inner) == len(other.lines) and other.fragments:
                    table.fragments = table.fragments + other.fragments
                    taken.append(other)
    return [a for a in areas if not any(a is one for one in taken)]


def _cut_off(table: Area, top: float, bottom: float, size: tuple[float, float]) -> bool:
    """Shrink a table's box so that it ends before the text from ``top`` to ``bottom``; False if its own is beyond."""
    x0, y0, x1, y1 = table.box
    middles = [centre(f.bbox)[1] for f in table.fragments]
    if min(middles) > bottom:
        y0 = bottom
    elif max(middles) < top:
        y1 = top
    else:
        return False
    table.box = (x0, y0, x1, y1)
    table.region = Region(table.region.label, scaled(table.box, 1 / size[0], 1 / size[1]), table.region.score)
    return True
