"""Makes PDFs of one page out of text at given places, in any script. They embed no font: the text layer is what counts,
and pdfium draws the glyphs from fonts of its own or of the system.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Rect = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in points, origin at the bottom left as in PDF."""

_ASCENT, _DESCENT = 0.75, -0.25
"""Of the font, in font sizes: its characters' boxes are one font size high."""
_DESCRIPTOR = (
    f"<< /Type /FontDescriptor /FontName /Helvetica /Flags 32 "
    f"/FontBBox [0 {_DESCENT * 1000:g} 1000 {_ASCENT * 1000:g}] /ItalicAngle 0 "
    f"/Ascent {_ASCENT * 1000:g} /Descent {_DESCENT * 1000:g} /CapHeight 718 /StemV 80 >>"
)

_SMALLEST = 4.0
"""Points; text that doesn't fit its rectangle at this size runs over the edge."""
_LEFT_TO_RIGHT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9 .,:/@-]*[A-Za-z0-9])?)")
"""Words and numbers within right-to-left text."""


@dataclass(frozen=True, slots=True)
class TextRun:
    """Text on one baseline."""

    text: str
    x: float
    y: float
    """Start of the baseline in points, origin at the bottom left."""
    size: float
    """Of the font, in points."""
    stretch: float = 1.0
    """Width of the characters by their natural width."""
    turn: int = 0
    """Counter-clockwise rotation in degrees: 0, 90, 180 or 270."""

    @property
    def direction(self) -> tuple[int, int]:
        """Cosine and sine of the rotation."""
        return {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[self.turn]


def text_width(text: str) -> float:
    """Natural width of a text in font sizes."""
    return sum(map(_advance, text)) / 1000


def text_in_rect(text: str, rect: Rect, turn: int, *, largest: float = 12.0) -> list[TextRun]:
    """Lines of a text as large as a rectangle holds them.

    Args:
        turn: counter-clockwise rotation of the text in degrees: 0, 90, 180 or 270.
        largest: maximum font size in points.
    """
    x0, y0, x1, y1 = rect
    width, height = (y1 - y0, x1 - x0) if turn in (90, 270) else (x1 - x0, y1 - y0)
    size = min(largest, max(height, _SMALLEST))
    while True:
        lines = _wrapped(text, width / size)
        if len(lines) * size <= height and all(text_width(line) * size <= width for line in lines):
            break
        if size <= _SMALLEST:
            break
        size = max(size * 0.9, _SMALLEST)
    left, bottom = {0: (x0, y0), 90: (x1, y0), 180: (x1, y1), 270: (x0, y1)}[turn]
    top = height if len(lines) > 1 or height > 3 * size else (height + size) / 2
    runs = []
    for number, line in enumerate(lines):
        up = top - number * size - _ASCENT * size
        if line:
            sideways, upwards = {0: (0, up), 90: (-up, 0), 180: (0, -up), 270: (up, 0)}[turn]
            runs.append(TextRun(line, left + sideways, bottom + upwards, size, turn=turn))
    return runs


def make_text_pdf(
    runs: Iterable[TextRun], page: Rect, rules: Sequence[Rect] = (), figures: Sequence[Rect] = ()
) -> bytes:
    """A PDF of one page with text, ruled lines and grey pictures.

    Args:
        page: the page's box.
        rules: line segments.
        figures: boxes of pictures.
    """
    codes: dict[str, int] = {}
    content = [f"0.5 w {x0:.2f} {y0:.2f} m {x1:.2f} {y1:.2f} l S" for x0, y0, x1, y1 in rules]
    content += [
        f"q {x1 - x0:.2f} 0 0 {y1 - y0:.2f} {x0:.2f} {y0:.2f} cm BI /W 1 /H 1 /BPC 8 /CS /G /F /AHx ID C8> EI Q"
        for x0, y0, x1, y1 in figures
    ]
    for run in runs:
        encoded = "".join(f"{codes.setdefault(char, len(codes) + 1):04X}" for char in _as_drawn(run.text))
        cos, sin = run.direction
        content.append(
            f"BT /F0 {run.size:.3f} Tf {100 * run.stretch:.3f} Tz "
            f"{cos} {sin} {-sin} {cos} {run.x:.3f} {run.y:.3f} Tm <{encoded}> Tj ET"
        )
    box = " ".join(f"{value:.3f}" for value in page)
    widths = " ".join(f"{code} [{_advance(char):g}]" for char, code in codes.items())
    return _file(
        [
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R /Resources << /Font << /F0 5 0 R >> >> >>",
            _stream("\n".join(content)),
            "<< /Type /Font /Subtype /Type0 /BaseFont /Helvetica /Encoding /Identity-H /DescendantFonts [6 0 R] "
            "/ToUnicode 8 0 R >>",
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Helvetica /CIDSystemInfo << /Registry (Adobe) "
            f"/Ordering (Identity) /Supplement 0 >> /FontDescriptor 7 0 R /DW 500 /W [{widths}] >>",
            _DESCRIPTOR,
            _stream(_to_unicode(codes)),
        ]
    )


def _wrapped(text: str, width: float) -> list[str]:
    """Lines of a text that are no wider than ``width`` font sizes, if its words allow."""
    lines = []
    for paragraph in text.splitlines():
        words = paragraph.split()
        line = words[0] if words else ""
        for word in words[1:]:
            if text_width(f"{line} {word}") > width:
                lines.append(line)
                line = word
            else:
                line += f" {word}"
        lines.append(line)
    return lines


def _as_drawn(text: str) -> str:
    """A line's characters from left to right: pdfium turns right-to-left text of a page back by itself."""
    if not any(unicodedata.bidirectional(char) in ("R", "AL") for char in text):
        return text
    pieces = _LEFT_TO_RIGHT.split(text[::-1])
    return "".join(piece[::-1] if number % 2 else piece for number, piece in enumerate(pieces))


def _advance(char: str) -> float:
    """Width of a character in thousandths of the font size: Helvetica's where it has the character."""
    from reportlab.pdfbase import pdfmetrics

    try:
        char.encode("cp1252")
    except UnicodeEncodeError:
        return 1000 if unicodedata.east_asian_width(char) in "WF" else 500
    return float(pdfmetrics.stringWidth(char, "Helvetica", 1000))


def _to_unicode(codes: dict[str, int]) -> str:
    """The CMap from character codes to text."""
    pairs = [f"<{code:04X}> <{char.encode('utf-16-be').hex()}>" for char, code in codes.items()]
    blocks = [pairs[i : i + 100] for i in range(0, len(pairs), 100)]  # PDF's limit for one block
    mapped = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Text def /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{mapped}\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    )


def _stream(text: str) -> str:
    return f"<< /Length {len(text)} >>\nstream\n{text}\nendstream"


def _file(objects: list[str]) -> bytes:
    out = "%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    start, count = len(out), len(objects) + 1
    out += f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\n"
    return f"{out}startxref\n{start}\n%%EOF\n".encode("ascii")
