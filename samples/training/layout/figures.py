"""Pictures for synthetic pages: charts, diagrams and logos as SVG, and photo-like JPEGs made of noise."""

# ruff: noqa: E501 - a line of HTML is a line
from __future__ import annotations

import base64
import io
import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image

Text = Callable[[int], str]


def colour(rng: random.Random, light: tuple[int, int] = (30, 60)) -> str:
    """A random colour, sometimes grey."""
    saturation = 0 if rng.random() < 0.2 else rng.randint(25, 85)
    return f"hsl({rng.randint(0, 359)},{saturation}%,{rng.randint(*light)}%)"


def svg(body: str, w: float, h: float, extra: str = "") -> str:
    """An SVG of that many units, stretched to its box."""
    return f'<svg viewBox="0 0 {w} {h}" style="width:100%;height:100%;display:block;{extra}">{body}</svg>'


def chart(rng: random.Random, text: Text, w: float, h: float) -> str:
    """Axes with lines, bars, dots, steps or areas, ticks and perhaps a legend."""
    x0, y0, x1, y1 = 34, 10, w - 8, h - 24
    fs = rng.choice([7, 8, 9, 10])
    font = f'font-size="{fs}"'
    parts = []
    if rng.random() < 0.4:
        for i in range(1, 6):
            y = y0 + (y1 - y0) * i / 6
            parts.append(f'<line x1="{x0}" x2="{x1}" y1="{y}" y2="{y}" stroke="#ccc" stroke-width=".6"/>')
    box = rng.random()
    if box < 0.4:
        parts.append(f'<rect x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}" fill="none" stroke="#222"/>')
    elif box < 0.85:
        parts.append(f'<path d="M{x0} {y0}V{y1}H{x1}" fill="none" stroke="#222"/>')
    n = rng.randint(3, 7)
    for i in range(n + 1):
        x, y = x0 + (x1 - x0) * i / n, y1 - (y1 - y0) * i / n
        parts.append(
            f'<text x="{x}" y="{y1 + fs + 2}" {font} text-anchor="middle">{rng.choice([i, i * 10, 2000 + i])}</text>'
        )
        parts.append(f'<text x="{x0 - 4}" y="{y + 3}" {font} text-anchor="end">{i * rng.choice([1, 5, 0.2]):g}</text>')
    if rng.random() < 0.6:
        parts.append(f'<text x="{(x0 + x1) / 2}" y="{h - 2}" {font} text-anchor="middle">{text(2)}</text>')
        y = (y0 + y1) / 2
        parts.append(f'<text x="8" y="{y}" {font} text-anchor="middle" transform="rotate(-90 8 {y})">{text(1)}</text>')
    if rng.random() < 0.3:
        parts.append(f'<text x="{(x0 + x1) / 2}" y="9" {font} text-anchor="middle">{text(3)}</text>')
    kind = rng.choice(["line", "line", "bar", "dots", "area", "step", "hbar", "box"])
    series = rng.randint(1, 5)
    base = colour(rng)
    for s in range(series):
        c = base if series == 1 else colour(rng)
        dash = rng.choice(["", "", "4 2", "1 2"])
        count = rng.randint(6, 40)
        values, v = [], rng.uniform(0.2, 0.8)
        for _ in range(count):
            v = min(0.97, max(0.03, v + rng.gauss(0, 0.12)))
            values.append(v)
        px = [x0 + (x1 - x0) * (i + 0.5) / count for i in range(count)]
        py = [y1 - (y1 - y0) * v for v in values]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(px, py, strict=True))
        bw = (x1 - x0) / count / series * 0.8
        if kind == "line":
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{c}" stroke-width="1.4" stroke-dasharray="{dash}"/>'
            )
        elif kind == "area":
            parts.append(f'<polygon points="{x0},{y1} {points} {x1},{y1}" fill="{c}" opacity=".6"/>')
        elif kind == "dots":
            r = rng.uniform(1, 3)
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{c}"/>' for x, y in zip(px, py, strict=True)
            ]
        elif kind == "hbar" and s == 0:
            hh = (y1 - y0) / 8
            parts += [
                f'<rect x="{x0}" y="{y0 + i * hh + 1:.1f}" width="{(x1 - x0) * values[i % count]:.1f}" height="{hh * 0.7:.1f}" fill="{c}"/>'
                for i in range(8)
            ]
        elif kind == "box":
            parts += [
                f'<rect x="{x - bw / 2:.1f}" y="{y:.1f}" width="{bw:.1f}" height="{rng.uniform(4, 20):.1f}" fill="none" stroke="{c}"/>'
                for x, y in zip(px[::3], py[::3], strict=True)
            ]
        else:
            parts += [
                f'<rect x="{x + (s - series / 2) * bw:.1f}" y="{y:.1f}" width="{bw:.1f}" height="{y1 - y:.1f}" fill="{c}"/>'
                for x, y in zip(px, py, strict=True)
            ]
        if series > 1 and rng.random() < 0.7:
            parts.append(
                f'<rect x="{x1 - 60}" y="{y0 + 5 + s * 11}" width="10" height="5" fill="{c}"/><text x="{x1 - 46}" y="{y0 + 11 + s * 11}" {font}>{text(1)[:9]}</text>'
            )
    background = rng.choice(["", "", "", "background:#f4f4f4", "background:#eef3fa", "border:1px solid #999"])
    return svg("".join(parts), w, h, background)


def pie(rng: random.Random, text: Text, w: float, h: float) -> str:
    """A pie or a ring with labels."""
    r, cx, cy = min(w, h) * 0.4, w * 0.4, h * 0.5
    parts, angle = [], 0.0
    shares = [rng.uniform(0.3, 1) for _ in range(rng.randint(3, 7))]
    for i, share in enumerate(shares):
        end = angle + 2 * math.pi * share / sum(shares)
        x, y, x2, y2 = (
            cx + r * math.cos(angle),
            cy + r * math.sin(angle),
            cx + r * math.cos(end),
            cy + r * math.sin(end),
        )
        c = colour(rng, (35, 75))
        parts.append(
            f'<path d="M{cx} {cy}L{x:.1f} {y:.1f}A{r} {r} 0 {int(end - angle > math.pi)} 1 {x2:.1f} {y2:.1f}Z" fill="{c}" stroke="#fff"/>'
        )
        parts.append(
            f'<rect x="{w * 0.78}" y="{12 + i * 14}" width="8" height="8" fill="{c}"/><text x="{w * 0.78 + 11}" y="{20 + i * 14}" font-size="8">{text(1)[:8]}</text>'
        )
        angle = end
    if rng.random() < 0.4:
        parts.append(f'<circle cx="{cx}" cy="{cy}" r="{r * 0.5}" fill="#fff"/>')
    return svg("".join(parts), w, h)


def diagram(rng: random.Random, text: Text, w: float, h: float) -> str:
    """Boxes and arrows, or a network of circles."""
    parts = []
    rows, cols = rng.randint(1, 3), rng.randint(2, 4)
    cw, ch = w / cols, h / rows
    centres = []
    for i in range(rows):
        for j in range(cols):
            if rng.random() < 0.15 and len(centres) > 1:
                continue
            cx, cy = (j + 0.5) * cw, (i + 0.5) * ch
            bw, bh = cw * rng.uniform(0.5, 0.72), min(ch * rng.uniform(0.35, 0.6), 46)
            fill = rng.choice(["#fff", "#fff", colour(rng, (75, 93))])
            if centres:
                px, py = centres[-1]
                parts.insert(
                    0,
                    f'<line x1="{px:.0f}" y1="{py:.0f}" x2="{cx:.0f}" y2="{cy:.0f}" stroke="#333" stroke-width="1.2"/>',
                )
            shape = rng.random()
            if shape < 0.7:
                parts.append(
                    f'<rect x="{cx - bw / 2:.0f}" y="{cy - bh / 2:.0f}" width="{bw:.0f}" height="{bh:.0f}" rx="{rng.choice([0, 4, 12])}" fill="{fill}" stroke="#333"/>'
                )
            else:
                parts.append(
                    f'<ellipse cx="{cx:.0f}" cy="{cy:.0f}" rx="{bw / 2:.0f}" ry="{bh / 2:.0f}" fill="{fill}" stroke="#333"/>'
                )
            parts.append(
                f'<text x="{cx:.0f}" y="{cy + 3:.0f}" font-size="{rng.choice([7, 8, 9])}" text-anchor="middle">{text(1)[:12]}</text>'
            )
            centres.append((cx, cy))
    return svg("".join(parts), w, h, rng.choice(["", "", "background:#f7f7f7", "border:1px solid #888"]))


def heatmap(rng: random.Random, text: Text, w: float, h: float) -> str:
    """Coloured cells."""
    n, m, hue = rng.randint(4, 12), rng.randint(4, 12), rng.randint(0, 359)
    cells = [
        f'<rect x="{30 + j * (w - 32) / m:.1f}" y="{i * (h - 14) / n:.1f}" width="{(w - 32) / m:.1f}" height="{(h - 14) / n:.1f}" fill="hsl({hue},70%,{rng.randint(25, 95)}%)"/>'
        for i in range(n)
        for j in range(m)
    ]
    labels = [
        f'<text x="26" y="{(i + 0.7) * (h - 14) / n:.1f}" font-size="7" text-anchor="end">{text(1)[:5]}</text>'
        for i in range(n)
    ]
    return svg("".join(cells + labels), w, h)


def sketch(rng: random.Random, text: Text, w: float, h: float) -> str:
    """Line drawing: curves, a circle or triangle with letters, as in geometry."""
    parts = []
    p = [(rng.uniform(15, w - 15), rng.uniform(15, h - 15)) for _ in range(rng.randint(3, 6))]
    parts.append('<polygon points="' + " ".join(f"{x:.0f},{y:.0f}" for x, y in p) + '" fill="none" stroke="#111"/>')
    if rng.random() < 0.6:
        parts.append(
            f'<circle cx="{w / 2:.0f}" cy="{h / 2:.0f}" r="{min(w, h) * 0.35:.0f}" fill="none" stroke="#111"/>'
        )
    if rng.random() < 0.5:
        parts.append(
            f'<path d="M5 {h * 0.7:.0f}C{w * 0.3:.0f} 0 {w * 0.6:.0f} {h:.0f} {w - 5:.0f} {h * 0.2:.0f}" fill="none" stroke="#111"/>'
        )
        parts.append(f'<path d="M5 {h / 2:.0f}H{w - 5:.0f}M{w / 2:.0f} 5V{h - 5:.0f}" stroke="#111"/>')
    parts += [
        f'<text x="{x + 3:.0f}" y="{y - 3:.0f}" font-size="11" font-style="italic">{c}</text>'
        for (x, y), c in zip(p, "ABCDEF", strict=False)
    ]
    return svg("".join(parts), w, h)


def logo(rng: random.Random, text: Text, w: float, h: float) -> str:
    """A small mark."""
    c, d = colour(rng), colour(rng)
    shape = rng.choice([
        f'<circle cx="50" cy="50" r="45" fill="{c}"/><path d="M30 60L50 25L70 60Z" fill="#fff"/>',
        f'<rect x="5" y="5" width="90" height="90" rx="15" fill="{c}"/><circle cx="50" cy="50" r="24" fill="{d}"/>',
        f'<path d="M50 5L95 95H5Z" fill="{c}"/>',
        f'<circle cx="35" cy="50" r="30" fill="{c}" opacity=".8"/><circle cx="65" cy="50" r="30" fill="{d}" opacity=".8"/>',
        f'<path d="M10 90V10H40L60 50L80 10H95V90H75V50L60 80L40 50V90Z" fill="{c}"/>',
    ])  # fmt: skip
    return svg(shape, 100, 100)


DRAWINGS = [chart, chart, chart, chart, pie, diagram, diagram, heatmap, sketch]


def _noise(r: np.random.Generator, h: int, w: int, roughness: float) -> np.ndarray:
    out = np.zeros((h, w))
    for octave in range(1, 7):
        grid = r.random((2**octave + 1, 2**octave + 1)).astype(np.float32)
        out += np.asarray(Image.fromarray(grid).resize((w, h), Image.Resampling.BICUBIC)) * roughness**octave
    return (out - out.min()) / (np.ptp(out) + 1e-9)


def photo(seed: int) -> str:
    """A JPEG like a photograph (scenery, objects, texture), as a data URL."""
    r = np.random.default_rng(seed)
    w, h = (int(r.integers(200, 360)) for _ in range(2))
    base = _noise(r, h, w, float(r.uniform(0.4, 0.75)))
    a, b, c = r.uniform(0, 255, (3, 3))
    y = np.linspace(0, 1, h)[:, None, None]
    image = a * (1 - y) + b * y
    kind = r.integers(0, 4)
    if kind == 0:  # scenery: ridges in front of a sky
        for k in range(int(r.integers(1, 4))):
            line = h * (0.3 + 0.2 * k) + h * 0.25 * (_noise(r, 8, w, 0.6)[4] - 0.5)
            mask = np.arange(h)[:, None] > line[None]
            shade = (0.4 + 0.6 * base)[..., None] * r.uniform(20, 200, 3)
            image = np.where(mask[..., None], shade, image)
    elif kind == 1:  # objects
        yy, xx = np.mgrid[0:h, 0:w]
        for _ in range(int(r.integers(3, 9))):
            cx, cy, rx, ry = r.uniform(0, w), r.uniform(0, h), r.uniform(10, w / 3), r.uniform(10, h / 3)
            mask = ((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2 < 1
            image = np.where(mask[..., None], (0.6 + 0.5 * base)[..., None] * r.uniform(0, 255, 3), image)
    elif kind == 2:  # texture
        image = a * base[..., None] + c * (1 - base[..., None])
    else:  # micrograph: grey grains
        image = np.repeat(((_noise(r, h, w, 0.9) > 0.5) * 120 + base * 110)[..., None], 3, 2)
    image = image * (0.85 + 0.3 * base[..., None]) + r.normal(0, 4, image.shape)
    if r.random() < 0.3:
        image[:] = image.mean(2, keepdims=True)
    out = io.BytesIO()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=45)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
