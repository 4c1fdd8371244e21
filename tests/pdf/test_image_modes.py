"""Pictures of any kind of pixel: nothing of them is clipped to black or white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from common import CASES
from PIL import Image

from mineru_accel import Pipeline
from mineru_accel.pdf.image_modes import upright_opaque

RAMP = np.tile(np.arange(256), (4, 1))
"""Grey values from black to white."""


@pytest.mark.parametrize(
    "values",
    [
        (RAMP * 257).astype(np.uint16),
        (RAMP * 16 + 15).astype(np.uint16),  # 12 bits in 16
        (RAMP * 16843009 // 2).astype(np.int32),
        (RAMP / 255).astype(np.float32),
        RAMP.astype(np.float32),
        (RAMP * 257.0).astype(np.float32),
    ],
)
def test_grey_values_are_scaled(values: np.ndarray) -> None:
    picture = upright_opaque(Image.fromarray(values))
    assert picture.mode == "L"
    assert np.abs(np.asarray(picture).astype(int) - RAMP).max() <= 1


def test_what_is_not_finite_is_black() -> None:
    values = np.array([[np.nan, np.inf, 0.5, 1.0]], np.float32)
    assert np.asarray(upright_opaque(Image.fromarray(values))).tolist() == [[0, 0, 128, 255]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB", "YCbCr", "LA", "RGBA", "PA", "LAB", "HSV"])
def test_other_kinds(mode: str) -> None:
    grey = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 8, axis=1))
    if mode in ("LAB", "PA"):
        source = "RGB" if mode == "LAB" else "P"
        from PIL import ImageCms

        if mode == "LAB":
            to_lab = ImageCms.buildTransform(
                ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), source, "LAB"
            )
            picture = ImageCms.applyTransform(grey.convert("RGB"), to_lab)
        else:
            picture = grey.convert("P").convert("PA")
    else:
        picture = grey.convert("RGB").convert(mode) if mode in ("HSV", "YCbCr", "CMYK") else grey.convert(mode)
    assert picture is not None
    seen = np.asarray(upright_opaque(picture).convert("L")).astype(int)
    assert seen[0, 0] <= 3 and seen[0, -1] >= 252


@pytest.mark.parametrize("ink", ["black", "white"])
def test_transparent_paper(ink: str) -> None:
    picture = Image.new("RGBA", (20, 20), (128, 128, 128, 0))
    picture.paste(ink, (5, 5, 15, 15))
    grey = np.asarray(upright_opaque(picture).convert("L")).astype(int)
    assert abs(grey[10, 10] - grey[0, 0]) == 255


def test_scan_of_16_bits_is_read(tmp_path: Path) -> None:
    with Pipeline(workers=1, formats="md", layout="native") as pipeline:
        text = pipeline.convert(CASES / "grey16_scan.png", tmp_path).markdown
    for line in ("built in 1911", "from an older church", "welcome on Sundays"):
        assert line in text
