"""The ten classes of DocStructBench, which DocLayout-YOLO tells apart."""

from __future__ import annotations

from enum import StrEnum


class Label(StrEnum):
    """A class of DocStructBench; the value is its name in checkpoints and in :class:`~mineru_accel.document.Region`."""

    TITLE = "title"
    PLAIN_TEXT = "plain text"
    ABANDON = "abandon"  # running headers and footers, page numbers, margin notes
    FIGURE = "figure"
    FIGURE_CAPTION = "figure_caption"
    TABLE = "table"
    TABLE_CAPTION = "table_caption"
    TABLE_FOOTNOTE = "table_footnote"
    ISOLATE_FORMULA = "isolate_formula"
    FORMULA_CAPTION = "formula_caption"  # the number of a formula: "(12)"


CLASSES: tuple[str, ...] = tuple(label.value for label in Label)
"""Class names by class id, 0 to 9."""

CLASS_IDS: dict[str, int] = {name: i for i, name in enumerate(CLASSES)}
"""Class ids by class name."""
