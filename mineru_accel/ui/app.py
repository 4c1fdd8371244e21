"""The page: its components, and what happens when somebody uses them."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import AccelError
from ..options import DEFAULT_FORMATS, Backend, Format, Method
from ..pdf.languages import NAMES
from ..storage.inputs import SUFFIXES
from . import html
from .conversion import File, Job
from .conversions import Conversions, make_zip, report
from .page_preview import look_at
from .sessions import Session, View
from .translations import catalogue, language, say

Updates = dict[Any, Any]

_EVERY = 0.3
"""Seconds between looks at what has happened."""
_STAY = 1.5
"""Seconds that a page is shown at least while the page follows the conversion."""
_MAX_SHOWN = 200_000
"""Characters of a file shown as text; browsers choke on more."""
_DELIMITERS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]
_PLAIN: dict[str, Any] = {"js_on_load": None, "apply_default_css": False}
_QUIET: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}


class Page:
    """The components and their listeners.

    Args:
        desk: does the work.
        cache: Gradio's folder for files that are handed out.
        examples: files to try.
    """

    def __init__(self, desk: Conversions, cache: Path, examples: list[Path]) -> None:
        self._desk = desk
        self._cache = cache
        self.i18n = gr.I18n(en=catalogue("en"), zh=catalogue("zh"), **{"zh-CN": catalogue("zh")})
        self.blocks = self._build(examples)

    # Components

    def _build(self, examples: list[Path]) -> gr.Blocks:
        age = int(self._desk.settings.keep_minutes * 60)
        with gr.Blocks(
            title="MinerU Accel", analytics_enabled=False, fill_width=True, delete_cache=(max(10, age // 4), age)
        ) as blocks:
            self._head = gr.HTML(html.head("en"), **_PLAIN)
            with gr.Row(equal_height=False):
                with gr.Column(scale=1, min_width=300):
                    self._form(examples)
                with gr.Column(scale=3, min_width=320):
                    self._results()
            blocks.load(self._loaded, None, [self._head, self._picture], **_QUIET)
            self._listen(examples)
            self._api()
            blocks.unload(self._left)
        return blocks

    def _form(self, examples: list[Path]) -> None:
        t = self.i18n
        engines = self._desk.engines
        self._files = gr.File(
            label=t("files"), file_count="multiple", file_types=sorted(SUFFIXES), height=150, elem_id="ma-files"
        )
        self._examples: list[gr.Button] = []
        if examples:
            gr.Markdown(t("examples"), elem_classes="ma-hint")
            with gr.Row(elem_id="ma-examples"):
                self._examples = [gr.Button(path.name, size="sm", min_width=0) for path in examples]
        self._backend = gr.Dropdown(
            engines.choices(),
            value=Backend.AUTO.value,
            label=t("backend"),
            info=f"auto: {engines.auto()}",
            elem_id="ma-backend",
        )
        self._pages = gr.Textbox(label=t("pages"), info=t("pages_info"), max_lines=1, elem_id="ma-pages")
        self._method = gr.Radio(
            [(t(f"method_{m.value}"), m.value) for m in Method], value=Method.AUTO.value, label=t("method")
        )
        with gr.Accordion(t("more"), open=False, elem_id="ma-more"):
            self._lang = gr.Dropdown([(n, code) for code, n in NAMES.items()], value="auto", label=t("lang"))
            self._formats = gr.CheckboxGroup(
                [f.value for f in Format],
                value=[f.value for f in DEFAULT_FORMATS],
                label=t("formats"),
                elem_id="ma-formats",
            )
            self._password = gr.Textbox(label=t("password"), info=t("password_info"), type="password", max_lines=1)
        with gr.Row():
            self._convert = gr.Button(t("convert"), variant="primary", elem_id="ma-convert", min_width=120)
            self._cancel = gr.Button(t("cancel"), interactive=False, elem_id="ma-cancel", min_width=80)
        self._zip = gr.DownloadButton(
            t("download"),  # type: ignore[arg-type]
            visible=False,
            variant="primary",
            elem_id="ma-zip",
        )

    def _results(self) -> None:
        t = self.i18n
        self._progress = gr.HTML(visible=False, js_on_load=_CHOOSE, elem_id="ma-progress", apply_default_css=False)
        with gr.Row(visible=False, elem_id="ma-nav") as self._nav:
            self._back = gr.Button("‹", scale=0, elem_id="ma-back")
            self._slider = gr.Slider(
                1,
                2,
                1,
                step=1,
                label=t("page_slider"),
                show_label=False,
                buttons=[],
                elem_id="ma-slider",
            )
            self._next = gr.Button("›", scale=0, elem_id="ma-next")
        with gr.Tabs():
            with gr.Tab(t("tab_page")), gr.Row(elem_id="ma-page"):
                with gr.Column(min_width=320):
                    self._picture = gr.HTML(html.empty("en"), elem_id="ma-picture", **_PLAIN)
                with gr.Column(min_width=320, visible=False) as self._text_side:
                    self._text = gr.Markdown(latex_delimiters=_DELIMITERS, elem_id="ma-text")
            with gr.Tab(t("tab_markdown")):
                self._code = gr.Code(language="markdown", show_label=False, elem_id="ma-code", wrap_lines=True)
            with gr.Tab(t("tab_content")):
                self._json = gr.Code(language="json", show_label=False, elem_id="ma-json", wrap_lines=True)
            with gr.Tab(t("tab_regions")):
                self._regions = gr.HTML(elem_id="ma-regions", **_PLAIN)
            with gr.Tab(t("tab_timings")):
                self._timings = gr.HTML(elem_id="ma-timings", **_PLAIN)
            with gr.Tab(t("tab_download")):
                self._singles = gr.File(
                    label=t("download_files"), file_count="multiple", interactive=False, elem_id="ma-singles"
                )

    def _listen(self, examples: list[Path]) -> None:
        form = [self._files, self._backend, self._pages, self._method, self._lang, self._formats, self._password]
        progress = [self._convert, self._cancel, self._progress]
        page = [self._nav, self._slider, self._picture, self._text_side, self._text, self._regions]
        document = [self._code, self._json, self._timings, self._singles]
        everything = [*progress, *page, *document, self._zip]
        for button, path in zip(self._examples, examples, strict=True):
            button.click(lambda path=str(path): [path], None, self._files, **_QUIET)
        self._convert.click(self._run, form, everything, **_QUIET)
        self._cancel.click(self._give_up, None, None, **_QUIET)
        self._progress.click(self._choose, None, [self._progress, *page, *document], **_QUIET)
        self._slider.input(self._go, self._slider, [self._progress, *page], trigger_mode="always_last", **_QUIET)
        self._back.click(self._step_back, None, [self._progress, *page], **_QUIET)
        self._next.click(self._step_on, None, [self._progress, *page], **_QUIET)

    def _api(self) -> None:
        """``/convert`` for programs: the same conversion without the page."""
        hidden: dict[str, Any] = {"visible": False}
        inputs = [
            gr.File(file_count="multiple", label="PDFs and images", **hidden),
            gr.Textbox(Backend.AUTO.value, label="auto, pipeline, hybrid or vlm", **hidden),
            gr.Textbox("", label="'1-5,8,r3-r1'; empty: all", **hidden),
            gr.Textbox(Method.AUTO.value, label="auto, txt or ocr", **hidden),
            gr.Textbox("auto", label="language of scans", **hidden),
            gr.Textbox(",".join(DEFAULT_FORMATS), label=f"of {','.join(Format)}", **hidden),
            gr.Textbox("", label="of encrypted PDFs", **hidden),
        ]
        outputs = [gr.File(label="ZIP with a folder for each document", **hidden), gr.JSON(label="report", **hidden)]
        gr.Button(**hidden).click(
            self.convert,
            inputs,
            outputs,
            api_name="convert",
            api_description="Convert PDFs and images. Returns a ZIP with a folder for each document, as the command "
            "writes them, and a report that says what became of each document and page.",
            concurrency_limit=None,
        )

    # Listeners

    def _loaded(self, request: gr.Request) -> tuple[str, str]:
        lang = _lang(request)
        return html.head(lang), html.empty(lang)

    def _left(self, request: gr.Request) -> None:
        self._desk.sessions.leave(request.session_hash)

    async def _run(
        self,
        files: list[str] | None,
        backend: str,
        pages: str,
        method: str,
        lang: str,
        formats: list[str],
        password: str,
        request: gr.Request,
    ) -> AsyncIterator[Updates]:
        session = self._session(request)
        said = _lang(request)
        if session.job and not session.job.over:
            raise gr.Error(say(said, "busy"), print_exception=False)
        fields = {"pages": pages, "method": method, "lang": lang, "formats": formats, "password": password}
        try:
            job = await asyncio.to_thread(self._desk.start, session, files or [], backend, fields)
        except AccelError as error:
            raise gr.Error(str(error), print_exception=False) from error
        if session.job:  # nobody can look at it any more
            await asyncio.to_thread(session.forget, session.job)
        session.job, session.view = job, View()
        yield {
            self._convert: gr.update(interactive=False),
            self._cancel: gr.update(interactive=True),
            self._zip: gr.update(visible=False),
            **self._progress_of(session, job, said),
            **await self._page_of(session, job, said),
            **self._document_of(session, job, said),
        }
        seen, clock = -1, asyncio.get_running_loop().time
        moved = clock()
        shown: tuple[int, int, bool] = (0, 0, False)
        while True:
            over, version = job.over, job.version
            updates: Updates = {}
            if session.view.follow and (clock() - moved > _STAY or not shown[2] or over):
                target = _newest(job) if not over else (0, 0)
                file = job.files[target[0]]
                now = (*target, _is_there(file, target[1]) or over)
                if now != shown:
                    shown, moved = now, clock()
                    changed = session.view.file != target[0]
                    session.view.file, session.view.position = target
                    updates |= await self._page_of(session, job, said)
                    if changed:
                        updates |= self._document_of(session, job, said)
            if version != seen:
                seen = version
                updates |= self._progress_of(session, job, said)
            if over:
                break
            if updates:
                yield updates
            await asyncio.sleep(_EVERY)
        archive = await asyncio.to_thread(make_zip, job, self._new_cache_folder())
        yield {
            **updates,
            **self._progress_of(session, job, said),
            **await self._page_of(session, job, said),
            **self._document_of(session, job, said),
            self._convert: gr.update(interactive=True),
            self._cancel: gr.update(interactive=False),
            self._zip: gr.update(value=str(archive) if archive else None, visible=archive is not None),
        }

    def _give_up(self, request: gr.Request) -> None:
        if job := self._session(request).job:
            job.cancel()

    async def _choose(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A file or a page in the progress was clicked."""
        session, lang = self._session(request), _lang(request)
        job, chosen = session.job, event._data or {}
        if job is None:
            return {self._progress: gr.skip()}
        number, position = _whole(chosen.get("file")), _whole(chosen.get("page"))
        updates: Updates = {}
        if number is not None and 0 <= number < len(job.files):
            session.view = View(number, 0, follow=False)
            updates = self._document_of(session, job, lang)
        elif position is not None:
            session.view.position, session.view.follow = position, False
        return updates | await self._page_of(session, job, lang) | self._progress_of(session, job, lang)

    async def _go(self, number: float, request: gr.Request) -> Updates:
        return await self._turn(request, to=int(number) - 1)

    async def _step_back(self, request: gr.Request) -> Updates:
        return await self._turn(request, by=-1)

    async def _step_on(self, request: gr.Request) -> Updates:
        return await self._turn(request, by=1)

    async def _turn(self, request: gr.Request, to: int | None = None, by: int = 0) -> Updates:
        session, lang = self._session(request), _lang(request)
        if session.job is None:
            return {self._progress: gr.skip()}
        session.view.position = (session.view.position if to is None else to) + by
        session.view.follow = False
        updates = await self._page_of(session, session.job, lang)
        return updates | self._progress_of(session, session.job, lang)

    async def convert(
        self,
        files: list[str],
        backend: str,
        pages: str,
        method: str,
        lang: str,
        formats: str,
        password: str,
        request: gr.Request,
    ) -> tuple[str | None, dict[str, Any]]:
        """The API's endpoint."""
        session = self._session(request)
        fields = {"pages": pages, "method": method, "lang": lang, "formats": formats, "password": password}
        try:
            job = await asyncio.to_thread(self._desk.start, session, files or [], backend or "auto", fields)
        except AccelError as error:
            raise gr.Error(str(error), print_exception=False) from error
        try:
            while not job.over:
                await asyncio.sleep(_EVERY)
        finally:
            job.cancel()  # the client went away
        archive = await asyncio.to_thread(make_zip, job, self._new_cache_folder())
        return str(archive) if archive else None, report(job)

    # What is shown

    def _session(self, request: gr.Request) -> Session:
        return self._desk.sessions.of(request.session_hash)

    def _new_cache_folder(self) -> Path:
        return self._cache / secrets.token_hex(16)

    def _progress_of(self, session: Session, job: Job, lang: str) -> Updates:
        shown = html.progress(job, session.view, len(self._desk.queue), lang)
        return {self._progress: gr.update(value=shown, visible=True)}

    async def _page_of(self, session: Session, job: Job, lang: str) -> Updates:
        """The page that the session looks at."""
        file = job.files[session.view.file]
        count = len(file.indices)
        session.view.position = position = max(0, min(session.view.position, count - 1))
        updates: Updates = {
            self._nav: gr.update(visible=count > 1),
            self._slider: gr.update(maximum=max(2, count), value=position + 1),
        }
        if not count:
            return updates | {
                self._picture: html.empty(lang) if not file.error else html.problem(file.error),
                self._text_side: gr.update(visible=False),
                self._text: "",
                self._regions: "",
            }
        index = file.indices[position]
        picture, shown = await look_at(job, file, index)
        page = file.pages.get(index)
        nothing = say(lang, "no_text") if page else say(lang, "page_waiting")
        return updates | {
            self._picture: html.sheet(page, index, picture, shown, lang),
            self._text_side: gr.update(visible=True),
            self._text: html.markdown(shown) or f"*{nothing}*",
            self._regions: html.regions(shown, lang),
        }

    def _document_of(self, session: Session, job: Job, lang: str) -> Updates:
        """What is shown of the whole document that the session looks at."""
        file = job.files[session.view.file]
        files = self._handed_out(file)
        return {
            self._code: _shown(file, Format.MD, lang),
            self._json: _shown(file, Format.CONTENT_LIST, lang),
            self._timings: html.timings(file, lang),
            self._singles: files or None,
        }

    def _handed_out(self, file: File) -> list[str]:
        """Copies of a document's files where Gradio serves them from."""
        if file.result is None or file.result.output_dir is None:
            return []
        if not file.handed_out:
            folder = self._new_cache_folder()
            folder.mkdir(parents=True)
            file.handed_out = [str(shutil.copy2(path, folder)) for path in file.result.files.values()]
        return [path for path in file.handed_out if Path(path).exists()]


_CHOOSE = """element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-file], [data-page]");
  if (button) trigger("click", { file: button.dataset.file, page: button.dataset.page });
});"""


def _lang(request: gr.Request) -> str:
    return language(request.headers.get("accept-language"))


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() and len(value) < 9 else None


def _is_there(file: File, position: int) -> bool:
    return position < len(file.indices) and file.indices[position] in file.pages


def _newest(job: Job) -> tuple[int, int]:
    """The file and position up to which everything is done: where a reader wants to be."""
    for file in job.files:
        if file.indices and len(file.pages) < len(file.indices):
            missing = next(n for n, index in enumerate(file.indices) if index not in file.pages)
            return file.number, max(0, missing - 1)
    started = [f for f in job.files if f.pages]
    return (started[-1].number, len(started[-1].indices) - 1) if started else (0, 0)


def _shown(file: File, fmt: Format, lang: str) -> str:
    if file.result is None or file.result.output_dir is None:
        return "" if file.error else say(lang, "until_done")
    path = file.result.files.get(fmt)
    if path is None:
        return say(lang, "not_asked")
    try:
        with path.open(encoding="utf-8") as text:
            read = text.read(_MAX_SHOWN + 1)
    except OSError:
        return ""
    return read if len(read) <= _MAX_SHOWN else f"{read[:_MAX_SHOWN]}\n\n{say(lang, 'cut')}"
