"""Text that a page has but does not show, and watermarks: found by facts of the page's objects, proven by its pixels.

Ordinary pages end after a look at each object. Where one gives cause, the page is rendered twice, as it is and without
the text in question: text that makes no difference is hidden, whatever hides it. What is doubtful is kept.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ..document import BBox
from .docvortex.clips import text_clips
from .page_letters import PageLetters
from .page_objects import Colour, PageObject, deactivate, objects_of
from .rendering import render
from .types import HiddenText, HiddenTexts, WhyHidden
from .watermarks import TextFacts, find_watermarks

_MAX_OBJECTS = 20_000
"""Objects of a page; maps and drawings have more, and are left as they are."""
_MIN_CONTRAST = 20
"""Difference of two colours in any channel (0..255) that is seen; for less, white paper would have to be smooth."""
_SUSPICIOUS_CONTRAST = 32
"""The same for colours that are to be compared with the pixels."""
_MAX_TINY = 1.0
"""Points; the smallest type in print is 3, that of posters and plans shrunk to a page 1.5."""
_COVERED = 0.9
"""Share of a text's box that another object must cover to hide it."""
_PARTLY_COVERED = (0.05, 0.6)
"""Shares of a text's width and height that an object must cover to hide a part of it, as a black bar does."""
_MIN_COVER = 2.0
"""Points; thinner objects, rules, cover no text."""
_SCALE, _MAX_SIDE = 2.0, 3000
"""Pixels per point of the renderings, and their longest side."""
_UNKNOWN = (-1, -1, -1)
"""Colour of pictures, gradients and what is translucent."""
_WHITE = (255, 255, 255)
_MAX_PAIRS = 1 << 20
"""Pairs of a text and another object that are compared at a time, for memory's sake."""
_MAX_PIXELS = 1 << 27
"""Pixels looked at for a page's invisible texts; with more, as of many texts of the page's size, the rest is kept."""
_PICTURES = (pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_SHADING)
_FINE = 100
"""Device units per point, for places that pdfium gives as whole numbers."""


@dataclass(slots=True)
class _Text:
    """A text object under examination."""

    number: int
    """Its place in the order of painting."""
    item: PageObject
    bounds: BBox
    colour: Colour | None = None
    """Of its fill; None if it is not filled, or by no plain colour."""
    ground: tuple[int, int, int] = _UNKNOWN
    partly: bool = False
    """Whether only a part of it may be covered."""
    invisible: bool = False
    """Whether it is in render mode 3: OCR puts such text over a scan."""
    why: WhyHidden = WhyHidden.HIDDEN
    """What it is if it is not shown."""


@dataclass(slots=True)
class _Area:
    """An object that covers an area: a picture, a gradient or a filled path."""

    number: int
    bounds: BBox
    colour: tuple[int, int, int]
    covers: bool
    """Whether it may hide what is below."""


def find_hidden(page: pdfium.PdfPage, may_hide_layers: bool) -> HiddenTexts:
    """The text objects of a page that are not seen, and watermarks; the page stays as it is.

    Args:
        may_hide_layers: whether the document has layers that may be off, see :mod:`.layers`.
    """
    objects = objects_of(page, _MAX_OBJECTS)
    texts = []
    for number, item in enumerate(objects):
        if item.kind == pdfium_c.FPDF_PAGEOBJ_TEXT and (bounds := item.bounds()) and bounds[2] > bounds[0]:
            texts.append(_Text(number, item, bounds))
    if not texts or len(objects) >= _MAX_OBJECTS:
        return HiddenTexts()
    hidden = _outside_or_tiny(page, texts)
    rest = _others(texts, hidden)
    suspects = _suspects(page, rest, _areas(objects), may_hide_layers) if rest else []
    proof = _Proof(page, suspects) if suspects else None
    if proof:
        hidden += [text for text in suspects if not proof.shows(text)]
        rest = _others(rest, hidden)
    rest = [text for text in rest if not text.invisible]
    for place in find_watermarks(page, [TextFacts(t.item, t.bounds, t.colour, t.ground) for t in rest]):
        rest[place].why = WhyHidden.WATERMARK
        hidden.append(rest[place])
    return _described(page, hidden, proof, [text for text in rest if text.partly])


def _others(texts: list[_Text], without: list[_Text]) -> list[_Text]:
    numbers = {text.number for text in without}
    return [text for text in texts if text.number not in numbers] if numbers else texts


def _outside_or_tiny(page: pdfium.PdfPage, texts: list[_Text]) -> list[_Text]:
    """Texts of which nothing can be seen by their place or size."""
    left, bottom, right, top = page.get_bbox()
    found = []
    for text in texts:
        x0, y0, x1, y1 = text.bounds
        if x1 <= left or x0 >= right or y1 <= bottom or y0 >= top:
            text.why = WhyHidden.OUTSIDE
            found.append(text)
        elif min(x1 - x0, y1 - y0) < _MAX_TINY and 0 < text.item.font_size() < _MAX_TINY:
            found.append(text)
    return found


def _areas(objects: list[PageObject]) -> list[_Area]:
    """What may be the ground of a text or cover it, in the order of painting."""
    found = []
    for number, item in enumerate(objects):
        is_picture = item.kind in _PICTURES
        if not is_picture and item.kind != pdfium_c.FPDF_PAGEOBJ_PATH:
            continue
        bounds = item.bounds()
        if bounds is None or min(bounds[2] - bounds[0], bounds[3] - bounds[1]) < _MIN_COVER:
            continue
        if is_picture:
            found.append(_Area(number, bounds, _UNKNOWN, True))
        elif item.is_filled():
            colour = item.fill_colour()
            opaque = colour is None or colour[3] == 255
            found.append(_Area(number, bounds, colour[:3] if colour and opaque else _UNKNOWN, opaque))
    return found


def _suspects(page: pdfium.PdfPage, texts: list[_Text], areas: list[_Area], may_hide_layers: bool) -> list[_Text]:
    """Texts that may be hidden: of the colour of their ground, covered, clipped, invisible, on a layer."""
    _read_colours(texts)
    grounds, covered, partly, pictured = _surroundings(texts, areas)
    colours = np.array([text.colour[:3] if text.colour else _UNKNOWN for text in texts])
    known = (grounds[:, 0] >= 0) & (colours[:, 0] >= 0)
    doubtful = covered | partly | known & (np.abs(colours - grounds).max(axis=1) < _SUSPICIOUS_CONTRAST)
    for text, ground in zip(texts, grounds.tolist(), strict=True):
        text.ground = tuple(ground)
    for text in (texts[number] for number in np.flatnonzero(partly)):
        text.partly = True
    clips = text_clips(page)
    found = []
    for place, text in enumerate(texts):
        if text.invisible:
            suspicious = not pictured[place]
        else:
            transparent = text.colour is not None and text.colour[3] < _SUSPICIOUS_CONTRAST
            suspicious = bool(doubtful[place]) or transparent or bool(clips and _is_clipped(page, text, clips))
            if not suspicious and may_hide_layers and _is_on_layer(text.item):
                suspicious, text.why = True, WhyHidden.LAYER
        if suspicious:
            found.append(text)
    return found


def _read_colours(texts: list[_Text]) -> None:
    for text in texts:
        mode = pdfium_c.FPDFTextObj_GetTextRenderMode(text.item.raw)
        text.invisible = mode == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE
        if mode == pdfium_c.FPDF_TEXTRENDERMODE_FILL:
            text.colour = text.item.fill_colour()


def _surroundings(texts: list[_Text], areas: list[_Area]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The colour of each text's ground, whether a later object covers it or a part of it, whether it is on a picture.

    Returns:
        (N, 3) colours, -1 where unknown; three times (N,) bool.
    """
    grounds = np.full((len(texts), 3), _WHITE)
    covered, partly, pictured = np.zeros((3, len(texts)), bool)
    if not areas:
        return grounds, covered, partly, pictured
    ax0, ay0, ax1, ay1 = np.array([area.bounds for area in areas]).T[:, None, :]
    order = np.array([area.number for area in areas])
    colours = np.array([area.colour for area in areas])
    covers = np.array([area.covers for area in areas])
    step = max(1, _MAX_PAIRS // len(areas))
    for start in range(0, len(texts), step):
        part = slice(start, start + step)
        x0, y0, x1, y1 = np.array([text.bounds for text in texts[part]]).T[:, :, None]
        later = order > np.array([text.number for text in texts[part]])[:, None]
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        holds = (ax0 <= x) & (x <= ax1) & (ay0 <= y) & (y <= ay1)
        below = (holds & ~later)[:, ::-1]
        first = len(areas) - 1 - below.argmax(axis=1)
        grounds[part] = np.where(below.any(axis=1)[:, None], colours[first], _WHITE)
        pictured[part] = (holds & (colours[:, 0] < 0)).any(axis=1)
        width = np.minimum(ax1, x1) - np.maximum(ax0, x0)
        height = np.minimum(ay1, y1) - np.maximum(ay0, y0)
        above = later & covers & (width > 0) & (height > 0)
        covered[part] = (above & (width * height >= _COVERED * (x1 - x0) * (y1 - y0))).any(axis=1)
        wide, high = (share * side for share, side in zip(_PARTLY_COVERED, (x1 - x0, y1 - y0), strict=True))
        partly[part] = ~covered[part] & (above & (width >= wide) & (height >= high)).any(axis=1)
    return grounds, covered, partly, pictured


def _is_clipped(page: pdfium.PdfPage, text: _Text, clips: dict[int, BBox]) -> bool:
    """Whether a text's box lies outside its clipping path."""
    clip = clips.get(text.item.address)
    if clip is None:
        return False
    x0, y0, x1, y1 = _displayed(page, text.bounds)
    return x1 <= clip[0] or clip[2] <= x0 or y1 <= clip[1] or clip[3] <= y0


def _is_on_layer(item: PageObject) -> bool:
    """Whether a text may belong to a layer: by its marks, or as part of a form, whose layer pdfium does not tell."""
    return bool(item.forms) or any(name == "OC" for name, _ in item.marks())


class _Proof:
    """What a page's pixels say of some texts, by comparison with the page without them."""

    def __init__(self, page: pdfium.PdfPage, suspects: list[_Text]) -> None:
        width, height = page.get_size()
        self._page = page
        self._scale = min(_SCALE, _MAX_SIDE / max(width, height))
        self._shown = render(page, self._scale).astype(np.int16)
        paths = [text.item.path for text in suspects]
        deactivate(page, paths)
        without = render(page, self._scale).astype(np.int16)
        deactivate(page, paths, False)
        self._seen = cv2.integral((np.abs(self._shown - without).max(axis=2) >= _MIN_CONTRAST).astype(np.uint8))
        self._pixels_left = _MAX_PIXELS

    def shows(self, text: _Text) -> bool:
        """Whether a text is seen; for one that is invisible whether anything is, say an outline of the same text."""
        place = self._pixels(_displayed(self._page, text.bounds))
        if not text.invisible:
            return self._makes_difference(place)
        pixels = self._shown[place].reshape(-1, 3)
        self._pixels_left -= len(pixels)
        if self._pixels_left < 0:
            return True
        return pixels.size > 0 and bool(np.ptp(pixels, axis=0).max() >= _MIN_CONTRAST)

    def covered_words(self, text: _Text, page_letters: PageLetters) -> Iterator[tuple[str, list[BBox]]]:
        """The pieces of a text that are not seen, with the boxes of their letters in points as displayed."""
        letters: list[str] = []
        boxes: list[BBox] = []
        for letter, bounds in page_letters.of(text.item):
            box = _displayed(self._page, bounds)
            if not self._makes_difference(self._pixels(box)):
                letters.append(letter)
                boxes.append(box)
            elif boxes:
                yield "".join(letters), boxes
                letters, boxes = [], []
        if boxes:
            yield "".join(letters), boxes

    def _makes_difference(self, place: tuple[slice, slice]) -> bool:
        """Whether any pixel of a box differs without the texts: four look-ups, however large the box is."""
        (y0, y1, _), (x0, x1, _) = (part.indices(size - 1) for part, size in zip(place, self._seen.shape, strict=True))
        if y1 <= y0 or x1 <= x0:
            return False
        seen = self._seen
        return bool(seen[y1, x1] - seen[y0, x1] - seen[y1, x0] + seen[y0, x0])

    def _pixels(self, box: BBox) -> tuple[slice, slice]:
        x0, y0, x1, y1 = (max(self._scale * value, 0) for value in box)
        return slice(int(y0), math.ceil(y1)), slice(int(x0), math.ceil(x1))


def _described(page: pdfium.PdfPage, hidden: list[_Text], proof: _Proof | None, partly: list[_Text]) -> HiddenTexts:
    """What a page's reader needs to know about hidden texts and parts of texts."""
    if not hidden and not partly:
        return HiddenTexts()
    letters: list[BBox] = []
    textpage = page.get_textpage()
    page_letters = PageLetters(textpage)
    try:
        texts = [HiddenText(page_letters.text(t.item), _displayed(page, t.bounds), t.why) for t in hidden]
        for text in partly:
            for word, boxes in proof.covered_words(text, page_letters) if proof else ():
                x0, y0, x1, y1 = zip(*boxes, strict=True)
                texts.append(HiddenText(word, (min(x0), min(y0), max(x1), max(y1)), WhyHidden.HIDDEN))
                letters += boxes
    finally:
        textpage.close()
    return HiddenTexts(tuple(text.item.path for text in hidden), tuple(texts), tuple(letters))


def _displayed(page: pdfium.PdfPage, bounds: BBox) -> BBox:
    """A box in the page's space as a box in points of the page as displayed, origin top left."""
    width, height = page.get_size()
    size = (round(width * _FINE), round(height * _FINE))
    x, y = ctypes.c_int(), ctypes.c_int()
    corners = []
    for px, py in ((bounds[0], bounds[1]), (bounds[2], bounds[3])):
        pdfium_c.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, px, py, ctypes.byref(x), ctypes.byref(y))
        corners.append((x.value / _FINE, y.value / _FINE))
    (xa, ya), (xb, yb) = corners
    return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)
