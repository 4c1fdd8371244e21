"""Draws a sample and writes down, at the same time, what is where: the ground truth.

All coordinates here are points from the top left of the displayed page.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from . import inline
from .typeset import Line, Style, lines_of, text_of

A4 = (595.0, 842.0)
Box = tuple[float, float, float, float]
ASCENT, DESCENT = 0.74, 0.23
"""Of a line's box, as fractions of the font size."""


@dataclass
class Frame:
    """A column to fill from the top: left edge, current top, width, bottom."""

    x: float
    y: float
    width: float
    bottom: float


@dataclass
class Sample:
    """One sample document being drawn, with its ground truth."""

    path: Path
    size: tuple[float, float] = A4
    title: str = ""
    pages: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._buffer = io.BytesIO()
        self.canvas = Canvas(self._buffer, pagesize=self.size, pageCompression=1, invariant=1)
        self.canvas.setTitle(self.title)
        self.canvas.setAuthor("mineru-accel samples")
        self.width, self.height = self.size

    def new_page(self, rotate: int = 0) -> None:
        """Start the next page. With ``rotate=90`` the page is stored upright and displayed turned clockwise."""
        if self.pages:
            self.canvas.showPage()
        self.width, self.height = self.size
        if rotate:
            self.canvas.setPageRotation(rotate)
            self.width, self.height = self.height, self.width
            self.canvas.setPageSize((self.width, self.height))  # reportlab swaps them for turned pages
            self.canvas.translate(self.size[0], 0)
            self.canvas.rotate(90)
        else:
            self.canvas.setPageRotation(0)
            self.canvas.setPageSize(self.size)
        self.pages.append({"page": len(self.pages), "size": [self.width, self.height], "rotate": rotate, "regions": []})

    def region(self, label: str, box: Box, text: str = "", md: str | None = None, joined: bool = False) -> None:
        """Write down a region, and its Markdown unless it has none. ``joined``: continues the block before."""
        unit = [box[0] / self.width, box[1] / self.height, box[2] / self.width, box[3] / self.height]
        entry: dict[str, Any] = {"label": label, "bbox": [round(v, 5) for v in unit], "text": text}
        if joined:
            entry["continues"] = True
        self.pages[-1]["regions"].append(entry)
        if md:
            self.blocks.append(md)

    def lines(self, lines: Sequence[Line], style: Style, x: float, y: float) -> Box:
        """Draw lines whose box starts at ``(x, y)``; returns the box."""
        baseline = y + ASCENT * style.size
        for line in lines:
            for piece in line.pieces:
                left = x + line.x + piece.x
                self.canvas.setFillColor(HexColor("#1a4f9c" if piece.link else style.color))
                self.canvas.setFont(piece.font, piece.size)
                self.canvas.drawString(left, self.height - baseline + piece.rise, piece.text)
                if piece.link:
                    low = self.height - baseline
                    rect = (left, low - 2, left + piece.width, low + style.size)
                    self.canvas.linkURL(piece.link, rect, relative=1)
            baseline += style.leading
        left = min(x + line.x for line in lines)
        right = max(x + line.x + line.width for line in lines)
        return left, y, right, baseline - style.leading + DESCENT * style.size

    def text(
        self,
        label: str,
        markup: str,
        style: Style,
        frame: Frame | tuple[float, float, float],
        *,
        prefix: str = "",
        md: str | None = "",
        after: float = 0.0,
    ) -> Box:
        """Set a paragraph in a frame, or at ``(x, y, width)``; ``md=None`` keeps it out of the Markdown.

        ``prefix`` goes before its Markdown (``"# "``); ``after`` is the space below it.
        """
        if isinstance(frame, tuple):
            frame = Frame(*frame, bottom=self.height)
        lines = lines_of(markup, style, frame.width)
        box = self.lines(lines, style, frame.x, frame.y)
        body = prefix + inline.markdown(markup.replace("\n", " ")) if md == "" else md
        self.region(label, box, text_of(lines), body)
        frame.y = box[3] + after
        return box

    def item(self, markup: str, style: Style, frame: Frame, after: float, mark: str = "•", hang: float = 15.0) -> None:
        """Set an item of a list: its mark, and its text hanging."""
        self.lines(lines_of(mark, style, hang), style, frame.x + 4, frame.y)
        inner = Frame(frame.x + 4 + hang, frame.y, frame.width - 4 - hang, frame.bottom)
        number = mark if mark != "•" else "-"
        box = self.text("plain text", markup, style, inner, prefix=f"{number} ")
        region = self.pages[-1]["regions"][-1]
        region["bbox"][0] = round((frame.x + 4) / self.width, 5)
        region["text"] = f"{mark} {region['text']}"
        frame.y = box[3] + after

    def flow(self, markup: str, style: Style, frames: list[Frame], after: float, turn: Callable[[], None]) -> None:
        """Set a paragraph in the first of ``frames``, going on in the next when it is full.

        A frame that is full is dropped from the list; ``turn`` is called when the list is empty and must refill it.
        No column ends in a hyphen.
        """
        lines = lines_of(markup, style, frames[0].width)
        self.blocks.append(inline.markdown(markup))
        joined = False
        while lines:
            frame = frames[0]
            first = frame.y + (ASCENT + DESCENT) * style.size
            count = min(len(lines), int((frame.bottom - first) / style.leading + 1 + 1e-6))
            while 0 < count < len(lines) and (lines[count - 1].hyphenated or count < 2 or len(lines) - count < 2):
                count -= 1
            if count > 0:
                box = self.lines(lines[:count], style, frame.x, frame.y)
                self.region("plain text", box, text_of(lines[:count]), joined=joined)
                frame.y = box[3] + after
                joined, lines = True, lines[count:]
            if lines:
                frames.pop(0)
                if not frames:
                    turn()

    def image(self, picture: Image.Image, box: Box, quality: int = 80, alt: str = "") -> None:
        """Place a raster picture as JPEG and write it down as a figure."""
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality)
        data.seek(0)
        reader = ImageReader(data)
        self.canvas.drawImage(reader, box[0], self.height - box[3], box[2] - box[0], box[3] - box[1])
        self.region("figure", box, "", f"![{alt}](images/figure.jpg)")

    def rule(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.5, color: str = "#000000") -> None:
        """Draw a straight line."""
        self.canvas.setStrokeColor(HexColor(color))
        self.canvas.setLineWidth(width)
        self.canvas.line(x0, self.height - y0, x1, self.height - y1)

    def fill(self, box: Box, color: str) -> None:
        """Fill a rectangle."""
        self.canvas.setFillColor(HexColor(color))
        self.canvas.rect(box[0], self.height - box[3], box[2] - box[0], box[3] - box[1], stroke=0, fill=1)

    def save(self) -> None:
        """Write the PDF, its Markdown and its regions."""
        self.canvas.save()
        self.path.with_suffix(".pdf").write_bytes(self._buffer.getvalue())
        write_truth(self.path, self.pages, self.blocks)


def write_truth(path: Path, pages: list[dict[str, Any]], blocks: list[str]) -> None:
    """Write ``NAME.md`` and ``NAME.regions.json``, one region a line."""
    path.with_suffix(".md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    out = []
    for page in pages:
        regions = ",\n".join("   " + json.dumps(r, ensure_ascii=False) for r in page["regions"])
        head = json.dumps({k: v for k, v in page.items() if k != "regions"})[:-1]
        out.append(f' {head}, "regions": [\n{regions}\n ]}}')
    path.with_suffix(".regions.json").write_text("[\n" + ",\n".join(out) + "\n]\n", encoding="utf-8")
