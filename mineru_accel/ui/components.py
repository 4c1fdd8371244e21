"""The components of the web page, and where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ..options import DEFAULT_FORMATS, Backend, Format, Method
from ..pdf.languages import NAMES
from ..storage.inputs import SUFFIXES
from . import html
from .pipelines import Pipelines

_DELIMITERS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]
_PLAIN_HTML: dict[str, Any] = {"js_on_load": None, "apply_default_css": False}
_TELL_CLICKED = """element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-file], [data-page]");
  if (button) trigger("click", { file: button.dataset.file, page: button.dataset.page });
});"""
"""Script of the progress: a click on a file's or a page's button becomes an event with its number."""


class Components:
    """Built inside ``gr.Blocks``, in the order in which they stand.

    Args:
        texts: The page's texts in its languages.
        pipelines: The back ends to choose from.
        examples: Files to try.
    """

    def __init__(self, texts: gr.I18n, pipelines: Pipelines, examples: list[Path]) -> None:
        self._texts = texts
        self.header = gr.HTML(html.header("en"), **_PLAIN_HTML)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300):
                self._build_form(pipelines, examples)
            with gr.Column(scale=3, min_width=320):
                self._build_progress()
                self._build_results()

    @property
    def form(self) -> list[Any]:
        """The inputs of a conversion, in the order of the arguments of ``WebApp.on_convert``."""
        return [self.files, self.backend, self.pages, self.method, self.lang, self.formats, self.password]

    @property
    def page(self) -> list[Any]:
        """The components that show one page of a document."""
        return [self.navigation, self.slider, self.picture, self.text_column, self.text, self.regions]

    @property
    def document(self) -> list[Any]:
        """The components that show a whole document."""
        return [self.markdown, self.content_list, self.timings, self.single_files]

    def _build_form(self, pipelines: Pipelines, examples: list[Path]) -> None:
        t = self._texts
        self.files = gr.File(
            label=t("files"), file_count="multiple", file_types=sorted(SUFFIXES), height=150, elem_id="ma-files"
        )
        self.examples: list[gr.Button] = []
        if examples:
            gr.Markdown(t("examples"), elem_classes="ma-hint")
            with gr.Row(elem_id="ma-examples"):
                self.examples = [gr.Button(path.name, size="sm", min_width=0) for path in examples]
        self.backend = gr.Dropdown(
            pipelines.choices(),
            value=Backend.AUTO.value,
            label=t("backend"),
            info=f"auto: {pipelines.auto()}",
            elem_id="ma-backend",
        )
        self.pages = gr.Textbox(label=t("pages"), info=t("pages_info"), max_lines=1, elem_id="ma-pages")
        self.method = gr.Radio(
            [(t(f"method_{m.value}"), m.value) for m in Method], value=Method.AUTO.value, label=t("method")
        )
        with gr.Accordion(t("more"), open=False, elem_id="ma-more"):
            self.lang = gr.Dropdown([(n, code) for code, n in NAMES.items()], value="auto", label=t("lang"))
            self.formats = gr.CheckboxGroup(
                [f.value for f in Format],
                value=[f.value for f in DEFAULT_FORMATS],
                label=t("formats"),
                elem_id="ma-formats",
            )
            self.password = gr.Textbox(label=t("password"), info=t("password_info"), type="password", max_lines=1)
        with gr.Row():
            self.convert = gr.Button(t("convert"), variant="primary", elem_id="ma-convert", min_width=120)
            self.cancel = gr.Button(t("cancel"), interactive=False, elem_id="ma-cancel", min_width=80)
        self.zip = gr.DownloadButton(
            t("download"),  # type: ignore[arg-type]
            visible=False,
            variant="primary",
            elem_id="ma-zip",
        )

    def _build_progress(self) -> None:
        self.progress = gr.HTML(visible=False, js_on_load=_TELL_CLICKED, elem_id="ma-progress", apply_default_css=False)
        with gr.Row(visible=False, elem_id="ma-nav") as self.navigation:
            self.previous = gr.Button("‹", scale=0, elem_id="ma-back")
            self.slider = gr.Slider(
                1,
                2,
                1,
                step=1,
                label=self._texts("page_slider"),
                show_label=False,
                buttons=[],
                elem_id="ma-slider",
            )
            self.next = gr.Button("›", scale=0, elem_id="ma-next")

    def _build_results(self) -> None:
        t = self._texts
        with gr.Tabs():
            with gr.Tab(t("tab_page")), gr.Row(elem_id="ma-page"):
                with gr.Column(min_width=320):
                    self.picture = gr.HTML(html.placeholder("en"), elem_id="ma-picture", **_PLAIN_HTML)
                with gr.Column(min_width=320, visible=False) as self.text_column:
                    self.text = gr.Markdown(latex_delimiters=_DELIMITERS, elem_id="ma-text")
            with gr.Tab(t("tab_markdown")):
                self.markdown = gr.Code(language="markdown", show_label=False, elem_id="ma-code", wrap_lines=True)
            with gr.Tab(t("tab_content")):
                self.content_list = gr.Code(language="json", show_label=False, elem_id="ma-json", wrap_lines=True)
            with gr.Tab(t("tab_regions")):
                self.regions = gr.HTML(elem_id="ma-regions", **_PLAIN_HTML)
            with gr.Tab(t("tab_timings")):
                self.timings = gr.HTML(elem_id="ma-timings", **_PLAIN_HTML)
            with gr.Tab(t("tab_download")):
                self.single_files = gr.File(
                    label=t("download_files"), file_count="multiple", interactive=False, elem_id="ma-singles"
                )
