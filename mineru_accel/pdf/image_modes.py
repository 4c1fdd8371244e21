"""Pictures of any kind of pixel as grey or RGB pixels of 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

_WHITE = 240
"""Grey value; a picture of no darker pixel shows nothing on white paper."""


def upright_opaque(frame: Image.Image) -> Image.Image:
    """A frame as grey or RGB pixels on white (white ones on black), turned as its EXIF data says."""
    upright = ImageOps.exif_transpose(frame)
    if upright.mode[0] in "IF":  # 16 or 32 bits, signed or not, in either order; floats
        return Image.fromarray(_to_8_bits(np.asarray(upright)))
    if upright.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in upright.info:
        upright = _on_paper(upright.convert("RGBA"))
    return upright.convert("L" if upright.mode in ("1", "L") else "RGB")


def _on_paper(picture: Image.Image) -> Image.Image:
    """An RGBA picture as RGB, on the background on which something is to be seen."""
    alpha = picture.getchannel("A")
    for paper in ("white", "black"):
        flat = Image.new("RGB", picture.size, paper)
        flat.paste(picture, mask=alpha)
        if paper == "black" or np.asarray(flat.convert("L")).min() < _WHITE:
            break
    return flat


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Grey values scaled to 0..255: from the range of as many bits as they take, so that white stays white.

    Args:
        values: (H, W) numbers of any type; not finite ones count as 0. Floats up to 1 take the range 0..1.

    Returns:
        (H, W) uint8.
    """
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    values -= min(values.min(), 0.0)
    largest = values.max()
    white = 1.0 if largest <= 1.0 else 2.0 ** max(8, np.ceil(np.log2(largest + 1))) - 1
    return np.round(values * (255 / white)).astype(np.uint8)
