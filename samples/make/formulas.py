"""Display formulas: LaTeX set by ziamath, drawn with the STIX Two Math font.

Glyphs that have a character of their own become text, as TeX makes it; the others (large operators,
stretched brackets) become outlines. So the text layer of a formula is as scrappy as in a real paper.
"""

from __future__ import annotations

import re
from functools import lru_cache
from xml.etree import ElementTree

import ziamath
from fontTools.ttLib import TTFont as FontTools
from reportlab.lib.colors import black

from .fonts import math_font
from .page import Sample

_NS = "{http://www.w3.org/2000/svg}"


@lru_cache(maxsize=1)
def _characters() -> dict[int, str]:
    font = FontTools(str(math_font()))
    out: dict[int, str] = {}
    for code, name in sorted(font.getBestCmap().items()):
        out.setdefault(font.getGlyphID(name), chr(code))
    return out


def draw_formula(
    sample: Sample, latex: str, frame: tuple[float, float, float], number: str, size: float = 10.0
) -> float:
    """Draw ``latex`` centred in ``frame`` (x, y, width) with its number at the right; returns the bottom.

    Writes down the formula (text: the LaTeX) and its number.
    """
    root = ElementTree.fromstring(ziamath.Latex(latex, size=size).svg())
    view = [float(v) for v in root.attrib["viewBox"].split()]
    x, y, width = frame
    left, top = x + (width - view[2]) / 2, y
    canvas = sample.canvas
    canvas.saveState()
    canvas.setFillColor(black)
    symbols: dict[str, ElementTree.Element] = {}
    for element in root:
        kind = element.tag.removeprefix(_NS)
        if kind == "symbol":
            symbols[element.attrib["id"]] = element
        elif kind == "use":
            symbol = symbols[element.attrib["href"][1:]]
            box = [float(v) for v in symbol.attrib["viewBox"].split()]
            scale = float(element.attrib["width"]) / box[2] if box[2] else 1.0
            gx = left - view[0] + float(element.attrib["x"]) - box[0] * scale
            gy = top - view[1] + float(element.attrib["y"]) - box[1] * scale
            _glyph(sample, symbol, gx, gy, scale)
        elif kind == "rect":
            rx, ry, rw, rh = (float(element.attrib[k]) for k in ("x", "y", "width", "height"))
            rx, ry = left - view[0] + rx, top - view[1] + ry
            canvas.rect(rx, sample.height - ry - rh, rw, rh, stroke=0, fill=1)
        else:
            raise ValueError(f"ziamath drew a <{kind}>, which this script can't draw")
    canvas.restoreState()
    bottom = top + view[3]
    box_ = (left, top, left + view[2], bottom)
    sample.region("isolate_formula", box_, latex, f"$$\n{latex} \\tag{{{number}}}\n$$")
    label = f"({number})"
    base = (top + bottom) / 2 + 3.3
    canvas.setFont("Serif", 10)
    label_width = canvas.stringWidth(label, "Serif", 10)
    canvas.drawString(x + width - label_width, sample.height - base, label)
    sample.region("formula_caption", (x + width - label_width, base - 7.4, x + width, base + 2.3), label)
    return bottom


def _glyph(sample: Sample, symbol: ElementTree.Element, x: float, y: float, scale: float) -> None:
    char = _characters().get(int(symbol.attrib["id"].rsplit("_", 1)[1]))
    # ziamath draws its symbols at 12 units to the em
    if char is not None:
        sample.canvas.setFont("Math", 12 * scale)
        sample.canvas.drawString(x, sample.height - y, char)
        return
    outline = symbol.find(f"{_NS}path")
    if outline is None:  # a space
        return
    path = sample.canvas.beginPath()
    at = (0.0, 0.0)
    for command, numbers in re.findall(r"([MLQZ])([^MLQZ]*)", outline.attrib["d"]):
        v = [float(n) * scale for n in numbers.split()]
        points = [(x + v[i], sample.height - y - v[i + 1]) for i in range(0, len(v), 2)]
        if command == "M":
            path.moveTo(*points[0])
        elif command == "L":
            path.lineTo(*points[0])
        elif command == "Q":  # a quadratic curve as a cubic one
            (cx, cy), (ex, ey) = points
            one = (at[0] + (cx - at[0]) * 2 / 3, at[1] + (cy - at[1]) * 2 / 3)
            two = (ex + (cx - ex) * 2 / 3, ey + (cy - ey) * 2 / 3)
            path.curveTo(*one, *two, ex, ey)
        else:
            path.close()
        at = points[-1] if points else at
    sample.canvas.drawPath(path, stroke=0, fill=1)
