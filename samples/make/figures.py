"""Pictures of the samples: made from a seed, so the same every time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from reportlab.lib.colors import HexColor

from .page import Box, Sample


def winter_scene(width: int, height: int, seed: int = 7) -> Image.Image:
    """A roadside camera's view: sky, two ridges, a snow field and a banded stake."""
    rng = np.random.default_rng(seed)
    sky = np.linspace(205, 240, height)[:, None, None] * np.ones((1, width, 3))
    sky[..., 0] -= 12
    picture = Image.fromarray(sky.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for level, tone, rough in ((0.42, (126, 140, 152), 26), (0.55, (84, 98, 104), 14)):
        steps = np.cumsum(rng.normal(0, 1, width))
        steps = np.convolve(steps, np.ones(9) / 9, "same")
        ridge = height * level + rough * (steps - steps.mean()) / (steps.std() + 1e-6)
        draw.polygon([(0, height), *((x, float(y)) for x, y in enumerate(ridge)), (width, height)], fill=tone)
    draw.rectangle((0, height * 0.68, width, height), fill=(228, 232, 238))
    for x in range(0, width, 9):  # firs along the edge of the field
        tall = float(rng.uniform(12, 40))
        base = height * 0.69
        draw.polygon([(x - 5, base), (x, base - tall), (x + 5, base)], fill=(40, 58, 50))
    left, top, band = width * 0.62, height * 0.28, height * 0.06
    for number in range(9):
        tone = (190, 50, 40) if number % 2 else (240, 240, 235)
        draw.rectangle((left, top + number * band, left + 12, top + (number + 1) * band), fill=tone)
    noisy = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.1)), dtype=float) + rng.normal(
        0, 4, (height, width, 3)
    )
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def line_chart(
    sample: Sample,
    box: Box,
    series: Sequence[tuple[str, str, Sequence[float]]],
    ticks: Sequence[str],
    top: float,
    axis: str,
    font: str = "Sans",
    size: float = 7.0,
) -> None:
    """A line chart in vectors: series of (name, colour, values), names of the x ticks, the y axis' top and title."""
    canvas, height = sample.canvas, sample.height
    x0, y0, x1, y1 = box[0] + 26, box[1] + 6, box[2] - 4, box[3] - 14
    canvas.setFont(font, size)
    for step in range(5):
        y = y1 - (y1 - y0) * step / 4
        sample.rule(x0, y, x1, y, 0.3, "#cccccc")
        canvas.setFillColor(HexColor("#333333"))
        canvas.drawRightString(x0 - 3, height - y - size * 0.35, f"{top * step / 4:g}")
    for number, name in enumerate(ticks):
        x = x0 + (x1 - x0) * number / (len(ticks) - 1)
        canvas.drawCentredString(min(x, x1 - 6), height - y1 - size - 3, name)
    sample.rule(x0, y1, x1, y1, 0.8)
    sample.rule(x0, y0, x0, y1, 0.8)
    for number, (name, color, values) in enumerate(series):
        canvas.setStrokeColor(HexColor(color))
        canvas.setLineWidth(1.3)
        path = canvas.beginPath()
        for i, value in enumerate(values):
            point = (x0 + (x1 - x0) * i / (len(values) - 1), height - y1 + (y1 - y0) * value / top)
            (path.lineTo if i else path.moveTo)(*point)
        canvas.drawPath(path)
        y = y0 + 8 + number * (size + 3)
        sample.rule(x0 + 8, y, x0 + 24, y, 1.3, color)
        canvas.setFillColor(HexColor("#222222"))
        canvas.drawString(x0 + 28, height - y - size * 0.35, name)
    canvas.saveState()
    canvas.translate(box[0] + size, height - (y0 + y1) / 2)
    canvas.rotate(90)
    canvas.drawCentredString(0, 0, axis)
    canvas.restoreState()
    sample.region("figure", box, "", "![](images/figure.jpg)")


def bar_chart(
    sample: Sample, box: Box, bars: Sequence[tuple[str, float]], color: str, unit: str, font: str = "Carlito"
) -> None:
    """Horizontal bars with their names and values."""
    canvas, height = sample.canvas, sample.height
    size = 11.0
    step = (box[3] - box[1]) / len(bars)
    top = max(value for _, value in bars)
    left = box[0] + 92
    for number, (name, value) in enumerate(bars):
        y = box[1] + number * step
        right = left + (box[2] - left - 48) * value / top
        sample.fill((left, y + step * 0.18, right, y + step * 0.82), color)
        canvas.setFillColor(HexColor("#222222"))
        canvas.setFont(font, size)
        canvas.drawRightString(left - 6, height - y - step / 2 - 4, name)
        canvas.drawString(right + 5, height - y - step / 2 - 4, f"{value:g}{unit}")
    sample.rule(left, box[1], left, box[3], 0.8)
    sample.region("figure", box, "", "![](images/figure.jpg)")
