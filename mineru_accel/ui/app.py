"""The web page: what happens when somebody uses its components, and the API beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import AccelError
from ..options import DEFAULT_FORMATS, Backend, Format, Method
from . import html
from .components import Components
from .conversion import Conversion
from .conversions import Conversions, make_zip, report
from .gradio_internals import event_data
from .sessions import Selection, Session
from .translations import catalogue, language, translate
from .updates import UpdateMaker, Updates

_POLL_SECONDS = 0.3
"""Seconds between two looks at a conversion's progress."""
_MIN_SECONDS_SHOWN = 1.5
"""Minimum seconds for which a page is shown while the web page follows the conversion."""
_QUIET: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}


class WebApp:
    """The components and their listeners.

    Args:
        conversions: Does the work.
        cache: Gradio's folder for files that are handed out.
        examples: Files to try.
    """

    def __init__(self, conversions: Conversions, cache: Path, examples: list[Path]) -> None:
        self._conversions = conversions
        self.i18n = gr.I18n(en=catalogue("en"), zh=catalogue("zh"), **{"zh-CN": catalogue("zh")})
        age = int(conversions.settings.keep_minutes * 60)
        with gr.Blocks(
            title="MinerU Accel", analytics_enabled=False, fill_width=True, delete_cache=(max(10, age // 4), age)
        ) as self.blocks:
            self._components = c = Components(self.i18n, conversions.pipelines, examples)
            self._updates = UpdateMaker(c, conversions.queue, cache)
            self.blocks.load(self.on_load, None, [c.header, c.picture], **_QUIET)
            self._listen(examples)
            self._add_api()
            self.blocks.unload(self.on_unload)

    def _listen(self, examples: list[Path]) -> None:
        c = self._components
        page = [c.progress, *c.page]
        everything = [c.convert, c.cancel, *page, *c.document, c.zip]
        for button, path in zip(c.examples, examples, strict=True):
            button.click(lambda path=str(path): [path], None, c.files, **_QUIET)
        c.convert.click(self.on_convert, c.form, everything, **_QUIET)
        c.cancel.click(self.on_cancel, None, None, **_QUIET)
        c.progress.click(self.on_progress_click, None, [*page, *c.document], **_QUIET)
        c.slider.input(self.on_slider, c.slider, page, trigger_mode="always_last", **_QUIET)
        c.previous.click(self.on_previous, None, page, **_QUIET)
        c.next.click(self.on_next, None, page, **_QUIET)

    def _add_api(self) -> None:
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

    def on_load(self, request: gr.Request) -> tuple[str, str]:
        """The web page was opened: its header and placeholder in the browser's language."""
        lang = _language(request)
        return html.header(lang), html.placeholder(lang)

    def on_unload(self, request: gr.Request) -> None:
        """The web page was closed."""
        self._conversions.sessions.leave(request.session_hash)

    async def on_convert(
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
        """The form was sent: updates until the conversion is finished."""
        session, shown_in, c = self._session(request), _language(request), self._components
        if session.shown and not session.shown.finished:
            raise gr.Error(translate(shown_in, "busy"), print_exception=False)
        fields = {"pages": pages, "method": method, "lang": lang, "formats": formats, "password": password}
        conversion = await self._start(session, files, backend, fields)
        if session.shown:  # nobody can look at it any more
            await asyncio.to_thread(session.forget, session.shown)
        session.shown, session.selection = conversion, Selection()
        yield {
            c.convert: gr.update(interactive=False),
            c.cancel: gr.update(interactive=True),
            c.zip: gr.update(visible=False),
            **await self._everything(session, conversion, shown_in),
        }
        async for updates in self._follow(session, conversion, shown_in):
            yield updates
        archive = await asyncio.to_thread(make_zip, conversion, self._updates.new_cache_folder())
        yield {
            **await self._everything(session, conversion, shown_in),
            c.convert: gr.update(interactive=True),
            c.cancel: gr.update(interactive=False),
            c.zip: gr.update(value=str(archive) if archive else None, visible=archive is not None),
        }

    async def _follow(self, session: Session, conversion: Conversion, lang: str) -> AsyncIterator[Updates]:
        """Updates while a conversion runs. As long as its user has chosen no page, the latest one is shown, and the
        first one at the end."""
        clock = asyncio.get_running_loop().time
        revision, shown, shown_since = -1, (0, 0, False), clock()
        while not conversion.finished:
            updates: Updates = {}
            latest = conversion.revision
            if session.selection.follow and (clock() - shown_since > _MIN_SECONDS_SHOWN or not shown[2]):
                number, position = conversion.last_page_in_order()
                now = number, position, conversion.files[number].has_page(position)
                if now != shown:
                    shown, shown_since = now, clock()
                    changed = session.selection.file != number
                    session.selection.file, session.selection.position = number, position
                    updates |= await self._updates.page(session, conversion, lang)
                    if changed:
                        updates |= self._updates.document(session, conversion, lang)
            if latest != revision:
                revision = latest
                updates |= self._updates.progress(session, conversion, lang)
            if updates:
                yield updates
            await asyncio.sleep(_POLL_SECONDS)
        if session.selection.follow:
            session.selection.file, session.selection.position = 0, 0

    def on_cancel(self, request: gr.Request) -> None:
        """The conversion is to be given up."""
        if conversion := self._session(request).shown:
            conversion.cancel()

    async def on_progress_click(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A file or a page in the progress was clicked."""
        session, lang, clicked = self._session(request), _language(request), event_data(event)
        conversion = session.shown
        if conversion is None:
            return {self._components.progress: gr.skip()}
        number, position = _whole_number(clicked.get("file")), _whole_number(clicked.get("page"))
        updates: Updates = {}
        if number is not None and 0 <= number < len(conversion.files):
            session.selection = Selection(number, 0, follow=False)
            updates = self._updates.document(session, conversion, lang)
        elif position is not None:
            session.selection.position, session.selection.follow = position, False
        updates |= await self._updates.page(session, conversion, lang)
        return updates | self._updates.progress(session, conversion, lang)

    async def on_slider(self, number: float, request: gr.Request) -> Updates:
        """A page was chosen by its place among the converted ones, counted from 1."""
        return await self._select_page(request, to=int(number) - 1)

    async def on_previous(self, request: gr.Request) -> Updates:
        """One page back."""
        return await self._select_page(request, by=-1)

    async def on_next(self, request: gr.Request) -> Updates:
        """One page on."""
        return await self._select_page(request, by=1)

    async def _select_page(self, request: gr.Request, to: int | None = None, by: int = 0) -> Updates:
        session, lang = self._session(request), _language(request)
        if session.shown is None:
            return {self._components.progress: gr.skip()}
        session.selection.position = (session.selection.position if to is None else to) + by
        session.selection.follow = False
        updates = await self._updates.page(session, session.shown, lang)
        return updates | self._updates.progress(session, session.shown, lang)

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
        conversion = await self._start(session, files, backend or "auto", fields)
        try:
            while not conversion.finished:
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            conversion.cancel()  # the client went away
        archive = await asyncio.to_thread(make_zip, conversion, self._updates.new_cache_folder())
        return str(archive) if archive else None, report(conversion)

    async def _start(
        self, session: Session, files: list[str] | None, backend: str, fields: dict[str, Any]
    ) -> Conversion:
        try:
            return await asyncio.to_thread(self._conversions.start, session, files or [], backend, fields)
        except AccelError as error:
            raise gr.Error(str(error), print_exception=False) from error

    async def _everything(self, session: Session, conversion: Conversion, lang: str) -> Updates:
        return {
            **self._updates.progress(session, conversion, lang),
            **await self._updates.page(session, conversion, lang),
            **self._updates.document(session, conversion, lang),
        }

    def _session(self, request: gr.Request) -> Session:
        return self._conversions.sessions.get(request.session_hash)


def _language(request: gr.Request) -> str:
    return language(request.headers.get("accept-language"))


def _whole_number(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() and len(value) < 9 else None
