"""``paper.pdf``: two columns, formulas, figures, references, as LaTeX sets a conference paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import paper_text as words
from .figures import line_chart, winter_scene
from .formulas import draw_formula
from .page import Frame, Sample
from .typeset import Style

BODY = Style("Serif", 9.6, 11.4, "justify", indent=10, ligatures=True, spaces=False)
FIRST = BODY.but(indent=0.0)
HEAD = Style("Serif", 11.2, 13.5, bold=True, ligatures=True)
CAPTION = Style("Serif", 8.4, 10, "justify", ligatures=True, spaces=False)
NOTE = Style("Serif", 8.4, 10, ligatures=True)
LEFT, RIGHT, WIDTH, TOP, BOTTOM = 54.0, 306.0, 235.0, 72.0, 778.0


class _Paper:
    """The paper while it is being set: the sample and the columns still to fill."""

    def __init__(self, folder: Path) -> None:
        self.sample = Sample(folder / "paper", title="Reading Snow Depth from Roadside Cameras")
        self.frames: list[Frame] = []

    def turn(self) -> None:
        """Begin a page."""
        if self.sample.pages:
            self.foot()
        self.sample.new_page()
        number = len(self.sample.pages)
        if number > 1:
            head = "Holt et al." if number % 2 == 0 else "Reading Snow Depth from Roadside Cameras"
            self.sample.text("abandon", head, NOTE.but(italic=True, align="center"), (LEFT, 42, 487), md=None)
        self.frames = [Frame(LEFT, TOP, WIDTH, BOTTOM), Frame(RIGHT, TOP, WIDTH, BOTTOM)]

    def foot(self) -> None:
        """Set the page number."""
        number = str(len(self.sample.pages))
        self.sample.text("abandon", number, NOTE.but(align="center"), (LEFT, 800, 487), md=None)

    def section(self, title: str, paragraphs: list[str]) -> None:
        """A heading and its paragraphs."""
        frame = self.frames[0]
        if frame.bottom - frame.y < 60:
            self.next_column()
        frame = self.frames[0]
        if frame.y > TOP + 1:
            frame.y += 6
        self.sample.text("title", title, HEAD, frame, prefix="## ", after=5)
        for number, paragraph in enumerate(paragraphs):
            self.body(paragraph, FIRST if number == 0 else BODY)

    def body(self, text: str, style: Style = FIRST) -> None:
        """A paragraph, flowing over the columns."""
        self.sample.flow(words.hyphenated(text), style, self.frames, 2.5, self.turn)

    def next_column(self) -> None:
        """Leave the rest of this column empty."""
        self.frames.pop(0)
        if not self.frames:
            self.turn()

    def formula(self, latex: str, number: str) -> None:
        """A display formula with its number."""
        frame = self.frames[0]
        frame.y = draw_formula(self.sample, latex, (frame.x, frame.y + 5, frame.width), number, 10.5) + 7

    def caption(self, text: str) -> None:
        """The caption below a figure."""
        self.sample.text("figure_caption", text, CAPTION, self.frames[0], after=10)


def make(folder: Path) -> None:
    """Write paper.pdf and its ground truth."""
    paper = _Paper(folder)
    paper.turn()
    sample = paper.sample
    box = sample.text("title", words.TITLE, Style("Serif", 17, 20.5, "center", bold=True), (74, 70, 447), prefix="# ")
    box = sample.text("plain text", words.AUTHORS, Style("Serif", 11, 13, "center"), (LEFT, box[3] + 9, 487))
    box = sample.text("plain text", words.PLACES, NOTE.but(align="center", italic=True), (LEFT, box[3] + 6, 487))
    for frame in paper.frames:
        frame.y = box[3] + 22
    top = paper.frames[0].y
    sample.text("title", "Abstract", HEAD.but(align="center"), paper.frames[0], prefix="## ", after=4)
    paper.body(words.ABSTRACT, FIRST)
    paper.section("1 Introduction", words.INTRO)
    paper.section("2 A model of the stake", [words.MODEL_1])
    assert paper.frames[0].y > top
    paper.formula(words.FORMULA_1, "1")
    paper.body(words.MODEL_2)
    paper.formula(words.FORMULA_2, "2")
    paper.body(words.MODEL_3)
    paper.section("3 When to trust a reading", words.TRUST)
    paper.section("4 Results", [words.RESULTS_1])
    frame = paper.frames[0]
    if frame.bottom - frame.y < 190:
        paper.next_column()
        frame = paper.frames[0]
    sample.image(winter_scene(590, 360), (frame.x, frame.y + 6, frame.x + WIDTH, frame.y + 149), quality=72)
    frame.y += 156
    paper.caption("Figure 1: View of the camera at Gull Pass on 14 January, with the stake to the right of the centre.")
    paper.body(words.RESULTS_2)
    paper.body(words.RESULTS_3, BODY)
    paper.turn()
    _errors(paper)
    paper.section("5 Setting a stake", words.SETTING)
    paper.section("6 Limits", [words.LIMITS])
    paper.next_column()
    paper.section("7 Conclusion", [words.CONCLUSION])
    paper.section("Acknowledgements", [words.THANKS])
    frame = paper.frames[0]
    frame.y += 6
    sample.text("title", "References", HEAD, frame, prefix="## ", after=5)
    for reference in words.REFERENCES:
        sample.text("plain text", reference, NOTE.but(align="justify", spaces=False), frame, after=3)
    paper.foot()
    sample.save()


def _errors(paper: _Paper) -> None:
    """The wide chart at the top of a page, over both columns."""
    rng = np.random.default_rng(3)
    weeks = np.arange(20)
    ours = 2.7 + rng.normal(0, 0.25, 20)
    learned = 4.6 + 3.6 / (1 + np.exp(-(weeks - 14))) + rng.normal(0, 0.35, 20)
    surveyed = 2.2 + rng.normal(0, 0.2, 20) + np.where((weeks > 12) & (weeks < 15), 7.4, 0.0)
    series = [
        ("classifier", "#b5442f", list(learned)),
        ("surveyed scene", "#6a8f3c", list(surveyed)),
        ("ours", "#1f5fa8", list(ours)),
    ]
    months = ["Nov", "Dec", "Jan", "Feb", "Mar"]
    line_chart(paper.sample, (LEFT, TOP, RIGHT + WIDTH, TOP + 150), series, months, 12, "error (cm)")
    text = (
        "Figure 2: Mean absolute error by week in the second winter, over all eleven cameras. The surveyed scene was "
    )
    text += "out of place from the storm of 9 February until it was surveyed again."
    caption = (LEFT, TOP + 158, RIGHT + WIDTH - LEFT)
    box = paper.sample.text("figure_caption", text, CAPTION, caption)
    for frame in paper.frames:
        frame.y = box[3] + 16
