"""OCR as a text layer: the lines that RapidOCR reads on a page become a PDF page of its own.

From there a scan is processed like a typeset page: docvortex's analysis and :mod:`mineru_accel.reading` read the text,
rules and pictures of that PDF. Worker processes only.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from .orientation import guess_turn
from .rendering import rotate, turn
from .scan_graphics import find_figures, find_rules
from .types import OcrLayer

MIN_SKEW = 0.15
"""Degrees; below this a page counts as straight."""
_MAX_SKEW = 15
"""Degrees; more is no skew of a page, but text set at an angle."""
_MAX_SIDE = 2600
"""Pixels; RapidOCR gains nothing above this and posters would take minutes."""
_MIN_SCORE = 0.5
"""Confidence; lines with less are dropped. RapidOCR's default."""
_SURE = 0.8
"""Confidence of the model that guesses a page's orientation: on pages of text it is .85 to .93."""
_READABLE = 0.85
"""Merit of a reading; upside down, lines of text are read with a confidence of .6 to .8."""
_SIDEWAYS = 0.9
"""Factor of the merit of a page of sideways lines, whose confidence is as high as that of level ones."""
_MIN_CHARS = 10
"""Characters; with fewer, a page can't be read in any orientation."""
_FONT_SIZE = 0.8
"""Font size relative to the height of a detected box."""
_BASELINE = 0.22
"""Height of the baseline above the bottom of a detected box, as a share of the box's height."""
_SAME_SIZE = 1.22
"""Ratio of the heights of lines that count as one font size."""


@dataclass(frozen=True, slots=True)
class OcrLine:
    """One line of text on a page image."""

    box: tuple[float, float, float, float]
    """(x0, y0, x1, y1) in pixels of the straightened page."""
    text: str
    score: float


def ocr_scale(dpi: int, page_size: tuple[float, float]) -> float:
    """Pixels per point at which a page is rendered for OCR.

    Args:
        dpi: wanted resolution.
        page_size: width and height of the page in points.
    """
    return min(dpi / 72, _MAX_SIDE / max(page_size))


@dataclass(frozen=True, slots=True)
class Reading:
    """What RapidOCR reads on a page image that was turned by some right angle."""

    quads: np.ndarray
    """(n, 4, 2) in pixels of the turned image, corners clockwise from the top left."""
    texts: list[str]
    scores: list[float]

    @property
    def merit(self) -> float:
        """How well it can be read, 0..1: the mean confidence, reduced where most lines stand upright; 0 without text.

        RapidOCR reads sideways lines, too, and with high confidence.
        """
        lengths = np.array([len(text) for text in self.texts])
        if lengths.sum() < _MIN_CHARS:
            return 0.0
        sides = np.abs(self.quads[:, 2] - self.quads[:, 0])
        wide = lengths[sides[:, 0] >= sides[:, 1]].sum() / lengths.sum()
        mean = float((lengths * np.array(self.scores)).sum() / lengths.sum())
        return mean if wide >= 0.5 else mean * _SIDEWAYS


def read_upright(pixels: np.ndarray) -> tuple[Reading, int]:
    """Read a page image in the orientation in which it can be read best.

    An ordinary page is read once; only where the model that guesses the orientation is unsure, or the page can't be
    read well as guessed, it is read once or twice more.

    Args:
        pixels: (H, W, 3) uint8 RGB, the whole page as displayed.

    Returns:
        What was read, and the degrees by which the image was turned counter-clockwise for it.
    """
    guess, confidence = guess_turn(pixels)
    readings = {guess: Reading(*_recognise(turn(pixels, guess)))}
    merit = readings[guess].merit
    if confidence < _SURE if guess == 0 else confidence < _SURE or merit < _READABLE:
        others = () if guess == 0 and merit >= _READABLE else _alternatives(guess, readings[guess])
        readings |= {other: Reading(*_recognise(turn(pixels, other))) for other in others}
    best = max(readings, key=lambda t: (readings[t].merit, t == guess))
    if not readings[best].merit:
        best = 0 if 0 in readings else guess
    return readings[best], best


def _alternatives(guess: int, reading: Reading) -> tuple[int, ...]:
    """Turns worth a try where a guess is doubtful."""
    if guess:
        return (0,)
    if not reading.texts:
        return ()
    sides = np.abs(reading.quads[:, 2] - reading.quads[:, 0])
    return (90, 270) if np.median(sides[:, 1] / np.maximum(sides[:, 0], 1)) > 1 else (180,)


def read_page(pixels: np.ndarray, page_size: tuple[float, float]) -> tuple[OcrLayer, int]:
    """Make a text layer of a page image, turned upright.

    Args:
        pixels: (H, W, 3) uint8 RGB, the whole page as displayed.
        page_size: width and height of the page as displayed, in points.

    Returns:
        The layer of the upright page, and the degrees by which the page was turned counter-clockwise
        for it.
    """
    reading, turned = read_upright(pixels)
    size = (page_size[1], page_size[0]) if turned % 180 else page_size
    return _as_layer(reading, turn(pixels, turned), size), turned


def read_as_displayed(pixels: np.ndarray, page_size: tuple[float, float]) -> OcrLayer:
    """As :func:`read_page`, for a page that is not to be turned."""
    return _as_layer(Reading(*_recognise(pixels)), pixels, page_size)


def _as_layer(reading: Reading, pixels: np.ndarray, page_size: tuple[float, float]) -> OcrLayer:
    """A text layer of what was read on an upright image, straightened."""
    quads, texts, scores = reading.quads, reading.texts, reading.scores
    angle = _skew(quads)
    height, width = pixels.shape[:2]
    if angle:
        quads = _rotate_points(quads, -angle, (width / 2, height / 2))
        pixels = rotate(pixels, angle)
    lines = [
        OcrLine((float(q[:, 0].min()), _mean_y(q, 0, 1), float(q[:, 0].max()), _mean_y(q, 2, 3)), text, score)
        for q, text, score in zip(quads, texts, scores, strict=True)
    ]
    weight = sum(len(line.text) for line in lines)
    score = sum(line.score * len(line.text) for line in lines) / weight if weight else 0.0
    return OcrLayer(_as_pdf(lines, pixels, page_size), angle, len(lines), score)


def read_lines(pixels: np.ndarray) -> list[str]:
    """The lines of text in a picture of one paragraph or heading, top to bottom.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    quads, texts, _ = _recognise(pixels)
    if not texts:
        return []
    heights = np.median(quads[:, 2:, 1].mean(axis=1) - quads[:, :2, 1].mean(axis=1))
    middles, lefts = quads[:, :, 1].mean(axis=1), quads[:, :, 0].min(axis=1)
    rows = np.round((middles - middles.min()) / max(float(heights), 1.0))
    return [texts[i] for i in np.lexsort((lefts, rows))]


def read_line(pixels: np.ndarray) -> str:
    """The text of a picture of one line.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    if min(pixels.shape[:2]) < 2:
        return ""
    result = _engine()(pixels[:, :, ::-1].copy(), use_det=False, use_cls=False, use_rec=True)
    return " ".join(result.txts or ())


@lru_cache(maxsize=1)
def _engine() -> Any:
    with _loading_configuration_once():
        from rapidocr import RapidOCR  # rapidocr imports its attributes at their first use

    # The models come with the package. A worker uses one core: one thread each.
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.text_score": _MIN_SCORE,
            # Finding lines needs fewer pixels than reading them, and lines of one length are rare: batches of several
            # are mostly padding. Together 3.0 -> 1.8 s a page, with the same text (samples/scan.pdf, one core).
            "Det.limit_type": "max",
            "Det.limit_side_len": 1440,
            "Rec.rec_batch_num": 1,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


@contextlib.contextmanager
def _loading_configuration_once() -> Iterator[None]:
    """Let RapidOCR read its list of models once instead of twice on import: a fifth of a second each time."""
    from omegaconf import OmegaConf

    load = OmegaConf.load
    OmegaConf.load = staticmethod(cache(load))  # type: ignore[method-assign]
    try:
        yield
    finally:
        OmegaConf.load = staticmethod(load)  # type: ignore[method-assign]


def _recognise(pixels: np.ndarray) -> tuple[np.ndarray, list[str], list[float]]:
    """Quads (n, 4, 2) of lines in pixels, corners clockwise from the top left; their texts and scores."""
    result = _engine()(_pad_strip(pixels)[:, :, ::-1].copy(), use_det=True, use_rec=True)  # RapidOCR takes BGR arrays
    if result.boxes is None or len(result.boxes) == 0:
        return np.zeros((0, 4, 2)), [], []
    return np.asarray(result.boxes, dtype=np.float64), list(result.txts), [float(s) for s in result.scores]


def _pad_strip(pixels: np.ndarray) -> np.ndarray:
    """Pad narrow strips with white: RapidOCR scales the long side to 2000 pixels, and the short one must not vanish."""
    height, width = pixels.shape[:2]
    least = max(height, width) // 40 + 1
    if min(height, width) >= least:
        return pixels
    pad = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
    return np.pad(pixels, pad, constant_values=255)


def _skew(quads: np.ndarray) -> float:
    """The page's skew in degrees, positive if lines descend to the right: the median over long lines.

    Lines are weighted by length. Skews outside :data:`MIN_SKEW` to :data:`_MAX_SKEW` count as 0, and so do those of
    pages with fewer than three long lines.

    Args:
        quads: (n, 4, 2) in pixels.
    """
    if len(quads) == 0:
        return 0.0
    run = (quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3]) / 2
    rise = (quads[:, 3] + quads[:, 2] - quads[:, 0] - quads[:, 1]) / 2
    length = np.hypot(run[:, 0], run[:, 1])
    long = (length > 5 * np.hypot(rise[:, 0], rise[:, 1])) & (np.abs(run[:, 0]) > np.abs(run[:, 1]))
    if long.sum() < 3:
        return 0.0
    angles = np.degrees(np.arctan2(run[long, 1], run[long, 0]))
    order = np.argsort(angles)
    cumulative = np.cumsum(length[long][order])
    angle = float(angles[order][np.searchsorted(cumulative, cumulative[-1] / 2)])
    return angle if MIN_SKEW <= abs(angle) <= _MAX_SKEW else 0.0


def _rotate_points(quads: np.ndarray, degrees: float, centre: tuple[float, float]) -> np.ndarray:
    """Rotate points (n, 4, 2) about ``centre``; positive degrees rotate clockwise as seen (y points down)."""
    radians = math.radians(degrees)
    cos, sin = math.cos(radians), math.sin(radians)
    return (quads - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre


def _mean_y(quad: np.ndarray, a: int, b: int) -> float:
    """Mean y of two corners of a quad."""
    return float((quad[a, 1] + quad[b, 1]) / 2)


def _as_pdf(lines: list[OcrLine], pixels: np.ndarray, page_size: tuple[float, float]) -> bytes:
    """A PDF of one page with the lines as text at their places, ruled lines as strokes and pictures as grey images."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    page_width, page_height = page_size
    scale = page_width / pixels.shape[1]
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=page_size, invariant=1)
    boxes = [line.box for line in lines]
    rules = find_rules(pixels, boxes)
    for x0, y0, x1, y1 in find_figures(pixels, boxes, rules):
        grey = ImageReader(_grey_pixel())
        page.drawImage(grey, x0 * scale, page_height - y1 * scale, (x1 - x0) * scale, (y1 - y0) * scale)
    page.setLineWidth(0.5)
    for x0, y0, x1, y1 in rules:
        page.line(x0 * scale, page_height - y0 * scale, x1 * scale, page_height - y1 * scale)
    for line, size in zip(lines, _font_sizes(lines, scale), strict=True):
        _draw_line(page, line, size, scale, page_height)
    page.showPage()
    page.save()
    return out.getvalue()


def _grey_pixel() -> io.BytesIO:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (1, 1), (200, 200, 200)).save(out, "PNG")
    out.seek(0)
    return out


def _font_sizes(lines: list[OcrLine], scale: float) -> list[float]:
    """A font size for each line in points; lines of about one height get the same size.

    Heights of boxes vary by some per cent with the letters in a line: the analysis would take each change for a change
    of style, hence for a heading.

    Args:
        scale: points per pixel.
    """
    heights = np.array([line.box[3] - line.box[1] for line in lines]) * scale
    sizes = np.zeros(len(lines))
    order = np.argsort(heights)
    start = 0
    for i in range(1, len(order) + 1):
        if i == len(order) or heights[order[i]] > _SAME_SIZE * heights[order[start]]:
            group = order[start:i]
            sizes[group] = np.median(heights[group])
            start = i
    return [max(1.0, float(s) * _FONT_SIZE) for s in sizes]


def _draw_line(page: Any, line: OcrLine, size: float, scale: float, page_height: float) -> None:
    from reportlab.pdfbase import pdfmetrics

    x0, y0, x1, y1 = (v * scale for v in line.box)
    font = _font_for(line.text)
    natural = pdfmetrics.stringWidth(line.text, font, size)
    if natural <= 0 or x1 - x0 < 1:
        return
    baseline = page_height - y1 + (y1 - y0) * _BASELINE
    text = page.beginText(x0, baseline)
    text.setFont(font, size)
    text.setHorizScale(100 * (x1 - x0) / natural)
    text.textOut(line.text)
    page.drawText(text)


def _font_for(text: str) -> str:
    """Name of a font that needs no embedding: Helvetica for text in Windows-1252, else a CID font."""
    try:
        text.encode("cp1252")
        return "Helvetica"
    except UnicodeEncodeError:
        return _cid_font()


@lru_cache(maxsize=1)
def _cid_font() -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    return "STSong-Light"
