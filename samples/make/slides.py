"""``slides.pdf``: four landscape slides."""

from __future__ import annotations

from pathlib import Path

from .figures import bar_chart, winter_scene
from .page import Frame, Sample
from .typeset import Style

TITLE = Style("Carlito", 30, 36, bold=True, color="#0f3b57")
BODY = Style("Carlito", 23, 29)
SUB = Style("Carlito", 25, 31, bold=True, color="#b5442f")
SMALL = Style("Carlito", 11, 13, color="#666666")
NOTE = Style("Carlito", 13, 16, color="#333333", italic=True)
SIZE = (960.0, 540.0)


def _slide(sample: Sample, title: str) -> Frame:
    sample.new_page()
    sample.fill((0, 0, 14, 540), "#0f3b57")
    frame = Frame(64, 44, 832, 480)
    sample.text("title", title, TITLE, frame, prefix="## ", after=30)
    return frame


def _foot(sample: Sample) -> None:
    sample.text("abandon", "Winter service briefing", SMALL, (64, 508, 400), md=None)
    sample.text("abandon", str(len(sample.pages)), SMALL.but(align="right"), (800, 508, 96), md=None)


def make(folder: Path) -> None:
    """Write slides.pdf and its ground truth."""
    sample = Sample(folder / "slides", SIZE, "Winter service briefing")
    sample.new_page()
    sample.fill((0, 0, 960, 540), "#0f3b57")
    big = TITLE.but(size=46.0, leading=56.0, color="#ffffff")
    box = sample.text("title", "Keeping the passes open", big, (84, 170, 800), prefix="# ")
    text = "What we learned from two winters of cameras and stakes"
    sample.text("plain text", text, BODY.but(color="#cfe0ea", size=24.0), (84, box[3] + 16, 800))
    text = "Winter service briefing · 3 October 2024 · Alta Vera"
    sample.text("plain text", text, BODY.but(color="#9fbccb", size=16.0), (84, 440, 800))

    frame = _slide(sample, "Why a closed road is expensive")
    for text in (
        "A closure sends 2,400 cars a day on a detour of 70 km",
        "Half of all closures last year turned out to be unnecessary",
        "Each unnecessary closure costs the valley about €38,000",
        "Every late closure puts a plough crew at risk",
    ):
        sample.item(text, BODY, frame, 20, hang=26)
    text = "Source: traffic counts of the Province of Alta Vera, 2022 and 2023"
    sample.text("plain text", text, NOTE, (64, 440, 832))
    _foot(sample)

    frame = _slide(sample, "Before and after the stakes")
    left, right = Frame(64, frame.y, 380, 480), Frame(516, frame.y, 380, 480)
    sample.text("title", "Before", SUB, left, prefix="## ", after=12)
    for text in (
        "Someone drives up at five in the morning",
        "One reading a day, none in a storm",
        "Decision at seven, after the school buses have left",
    ):
        sample.item(text, BODY, left, 16, hang=26)
    sample.text("title", "After", SUB, right, prefix="## ", after=12)
    for text in (
        "A reading every hour, within three centimetres",
        "The system says when it can’t see",
        "Decision at half past five, and the buses stay in the valley",
    ):
        sample.item(text, BODY, right, 16, hang=26)
    sample.rule(480, frame.y, 480, 430, 1, "#bbbbbb")
    _foot(sample)

    frame = _slide(sample, "Hours closed per winter, by pass")
    bars = [
        ("Gull Pass", 212.0),
        ("Oster Saddle", 174.0),
        ("Low Gap", 96.0),
        ("Miller’s Col", 61.0),
        ("Tarn Road", 38.0),
    ]
    bar_chart(sample, (64, frame.y, 560, frame.y + 270), bars, "#3c7fa6", " h")
    caption = "Figure 1: Average of the winters 2022 and 2023"
    sample.text("figure_caption", caption, NOTE.but(italic=False), (64, frame.y + 280, 496))
    sample.image(winter_scene(520, 360, seed=11), (600, frame.y, 896, frame.y + 205), quality=70)
    caption = "Figure 2: The stake at Gull Pass"
    sample.text("figure_caption", caption, NOTE.but(italic=False), (600, frame.y + 215, 296))
    _foot(sample)
    sample.save()
