"""Random crops for the VLM's engine."""

from __future__ import annotations

from typing import Any


def random_crops(job: dict[str, Any]) -> list[Any]:
    """PIL images of noise with lines of random text, all different.

    Args:
        job: entries "crops" (count), "size" ([width, height] in pixels) and "mixed" (sizes as on pages of papers).
    """
    import numpy as np
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    sizes = [tuple(job["size"])] * job["crops"]
    if job["mixed"]:  # paragraphs of one and two columns, headings, formulas, captions, tables
        choices = [(1400, 150), (700, 420), (700, 200), (420, 56), (560, 84), (700, 112), (1400, 700), (224, 56)]
        sizes = [choices[i] for i in rng.integers(0, len(choices), job["crops"])]
    images = []
    for width, height in sizes:
        image = Image.fromarray(rng.integers(200, 255, (height, width, 3), dtype=np.uint8))
        draw = ImageDraw.Draw(image)
        for y in range(4, max(5, height - 10), 22):
            draw.text((4, y), "".join(rng.choice(list("abcdefghij klmnop"), width // 8)), fill=0)
        images.append(image)
    return images
