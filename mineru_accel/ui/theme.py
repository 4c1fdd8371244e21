"""The looks of the web page: theme, style sheet, script. None of them comes from another server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

_HERE = Path(__file__).parent

KINDS: dict[str, str] = {
    **dict.fromkeys(("doc_title", "paragraph_title"), "heading"),
    **dict.fromkeys(("text", "list", "ref_text", "index"), "text"),
    **dict.fromkeys(("caption", "footnote", "image_caption", "table_caption", "table_footnote"), "caption"),
    **dict.fromkeys(("image", "chart"), "figure"),
    "table": "table",
    "equation": "formula",
    **dict.fromkeys(("header", "footer", "page_number", "aside_text", "page_footnote"), "furniture"),
}
"""The kind that a type of block belongs to; each kind has a colour in ``page.css``."""

STAGES: dict[str, str] = {
    "probe": "#94a3b8",
    "render": "#38bdf8",
    "ocr": "#f59e0b",
    "layout": "#6366f1",
    "prepare": "#14b8a6",
    "vlm": "#ec4899",
    "extract": "#10b981",
    "crop": "#a3a300",
}
"""Stages of a page in their order, with their colours in the plot of timings."""


def kind(block_type: str) -> str:
    """The kind of a type of block."""
    return KINDS.get(block_type, "other")


def css() -> str:
    """The style sheet."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


def script() -> str:
    """A JavaScript function that is called once when the page is loaded."""
    return (_HERE / "page.js").read_text(encoding="utf-8")


def theme() -> gr.Theme:
    """System fonts only: Gradio's own themes fetch theirs from Google."""
    import gradio as gr

    sans = ("Inter", "ui-sans-serif", "system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
    mono = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
    return gr.themes.Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        radius_size=gr.themes.sizes.radius_lg,
        font=[gr.themes.Font(name) for name in sans],
        font_mono=[gr.themes.Font(name) for name in mono],
    ).set(
        body_background_fill="#f6f7fb",
        body_background_fill_dark="#0b1020",
        block_background_fill="#ffffff",
        block_background_fill_dark="#131a2e",
        block_border_width="1px",
        block_border_color="#e3e7f0",
        block_border_color_dark="#232c45",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_border_width_dark="0px",
        input_background_fill="#f6f7fb",
        input_background_fill_dark="#0e1527",
        button_primary_background_fill="#4f46e5",
        button_primary_background_fill_hover="#4338ca",
        button_primary_background_fill_dark="#6366f1",
        button_primary_background_fill_hover_dark="#818cf8",
        button_primary_text_color="#ffffff",
    )
