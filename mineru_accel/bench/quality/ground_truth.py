"""Ground truth in one form: this repository's ``samples/`` and folders in OmniDocBench's format.

- samples: ``NAME.pdf`` with ``NAME.md`` and ``NAME.regions.json`` (see ``samples/README.md``), one item a document;
- OmniDocBench: a JSON file with a list of pages, each ``{"layout_dets": [...], "page_info": {"image_path", ...}}``,
  images in ``images/``, and PDFs, if there are any, in ``pdfs/`` or ``ori_pdfs/``; one item a page.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...layout.classes import Label
from .tables import html_tables, without_tables

Box = tuple[str, tuple[float, float, float, float]]
"""A DocStructBench class and a box as fractions of the displayed page."""


@dataclass(slots=True)
class GroundTruth:
    """The content of one file as a perfect conversion has it."""

    file: Path
    plain: str = ""
    """The text as Markdown, without tables and display formulas."""
    texts: list[str] = field(default_factory=list)
    """Its blocks, in reading order."""
    ignored: list[str] = field(default_factory=list)
    """Optional text: running heads, page numbers, captions (where the format says so)."""
    tables: list[str] = field(default_factory=list)
    """HTML."""
    formulas: list[str] = field(default_factory=list)
    """LaTeX of display formulas."""
    pages: list[list[Box]] = field(default_factory=list)
    """Regions of each page."""


def load(folder: Path) -> list[GroundTruth]:
    """Read the ground truth in a folder.

    Raises:
        UsageError: if there is none in a known format.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(".regions.json"):
            continue
        try:
            pages = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(pages, list) and pages and isinstance(pages[0], dict) and "layout_dets" in pages[0]:
            return [_omnidocbench_page(folder, page) for page in pages]
    names = [p for p in sorted(folder.glob("*.pdf")) if p.with_suffix(".md").exists()]
    if not names:
        raise UsageError(
            f"{folder}: no ground truth: neither NAME.pdf with NAME.md, nor a JSON file in OmniDocBench's format"
        )
    return [_sample(path) for path in names]


def _sample(pdf: Path) -> GroundTruth:
    markdown = pdf.with_suffix(".md").read_text(encoding="utf-8")
    truth = GroundTruth(
        pdf.resolve(), plain_text(markdown), tables=html_tables(markdown), formulas=display_formulas(markdown)
    )
    regions = pdf.with_name(f"{pdf.stem}.regions.json")
    if not regions.exists():
        truth.texts = [block for block in truth.plain.split("\n\n") if block.strip()]
        return truth
    skip = {Label.FIGURE, Label.TABLE, Label.ISOLATE_FORMULA, Label.FORMULA_CAPTION}
    for page in json.loads(regions.read_text(encoding="utf-8")):
        truth.pages.append([(r["label"], tuple(r["bbox"])) for r in page["regions"]])
        for r in page["regions"]:
            if r["label"] == Label.ABANDON:
                truth.ignored.append(r["text"])
            elif r["label"] not in skip:
                truth.texts.append(r["text"])
    return truth


_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]", re.S)


def display_formulas(markdown: str) -> list[str]:
    """LaTeX of the display formulas of some Markdown."""
    return [(m.group(1) or m.group(2)).strip() for m in _FORMULA.finditer(markdown)]


def plain_text(markdown: str) -> str:
    """Markdown without its tables and display formulas."""
    return _FORMULA.sub("\n\n", without_tables(markdown))


_CLASSES = {
    **{"title": Label.TITLE, "figure": Label.FIGURE, "figure_caption": Label.FIGURE_CAPTION, "table": Label.TABLE},
    **{"table_caption": Label.TABLE_CAPTION, "table_footnote": Label.TABLE_FOOTNOTE},
    **{"equation_isolated": Label.ISOLATE_FORMULA, "equation_caption": Label.FORMULA_CAPTION},
    **dict.fromkeys(("text_block", "list_group", "reference", "code_txt", "code_txt_caption"), Label.PLAIN_TEXT),
    **dict.fromkeys(("header", "footer", "page_number", "page_footnote", "abandon"), Label.ABANDON),
}
"""OmniDocBench's categories as DocStructBench's; other categories (such as masks) are no regions."""
_TEXT = {"title", "text_block", "reference", "code_txt"}
_IGNORED = {
    *("figure_caption", "figure_footnote", "table_caption", "table_footnote", "code_txt_caption", "equation_caption"),
    *("header", "footer", "page_number", "page_footnote", "abandon"),
}


def _omnidocbench_page(folder: Path, page: dict[str, Any]) -> GroundTruth:
    info = page["page_info"]
    image = Path(info["image_path"]).name
    places = [folder / sub / f"{Path(image).stem}.pdf" for sub in ("pdfs", "ori_pdfs")]
    places += [folder / "images" / image, folder / image]
    file = next((place for place in places if place.exists()), None)
    if file is None:
        raise UsageError(f"{folder}: has neither a PDF nor an image of {image}")
    truth = GroundTruth(file.resolve(), pages=[[]])
    regions = [r for r in page["layout_dets"] if not r.get("ignore")]
    for r in sorted(regions, key=lambda r: r["order"] if r.get("order") is not None else 1e9):
        kind = r["category_type"]
        if kind in _CLASSES and r.get("poly"):
            xs, ys = r["poly"][0::2], r["poly"][1::2]
            box = (min(xs) / info["width"], min(ys) / info["height"])
            truth.pages[0].append((_CLASSES[kind], (*box, max(xs) / info["width"], max(ys) / info["height"])))
        if kind == "table" and r.get("html"):
            truth.tables.append(r["html"])
        elif kind == "equation_isolated" and r.get("latex"):
            truth.formulas.append(r["latex"].strip().strip("$").strip())
        elif r.get("text"):
            (truth.texts if kind in _TEXT else truth.ignored if kind in _IGNORED else []).append(r["text"])
    truth.plain = "\n\n".join(truth.texts)
    return truth
