"""Updates for Gradio that make the components show a conversion."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from ..options import Format
from . import html
from .components import Components
from .conversion import Conversion, File
from .fair_queue import FairQueue
from .page_preview import preview_page
from .sessions import Session
from .translations import translate

Updates = dict[Any, Any]
"""New values or properties, by component."""

_MAX_CHARACTERS = 200_000
"""Maximum characters of a file shown as text; browsers choke on more."""


class UpdateMaker:
    """Makes the updates for a user's selection.

    Args:
        components: The page's.
        queue: Documents that wait.
        cache: Gradio's folder for files that are handed out.
    """

    def __init__(self, components: Components, queue: FairQueue, cache: Path) -> None:
        self._components = components
        self._queue = queue
        self._cache = cache

    def progress(self, session: Session, conversion: Conversion, lang: str) -> Updates:
        """The progress of the conversion."""
        markup = html.progress(conversion, session.selection, len(self._queue), lang)
        return {self._components.progress: gr.update(value=markup, visible=True)}

    async def page(self, session: Session, conversion: Conversion, lang: str) -> Updates:
        """The selected page."""
        c, selection = self._components, session.selection
        file = conversion.files[selection.file]
        count = len(file.indices)
        selection.position = position = max(0, min(selection.position, count - 1))
        updates: Updates = {
            c.navigation: gr.update(visible=count > 1),
            c.slider: gr.update(maximum=max(2, count), value=position + 1),
        }
        if not count:
            return updates | {
                c.picture: html.placeholder(lang) if not file.error else html.problem(file.error),
                c.text_column: gr.update(visible=False),
                c.text: "",
                c.regions: "",
            }
        index = file.indices[position]
        picture, view = await preview_page(conversion, file, index)
        page = file.pages.get(index)
        nothing = translate(lang, "no_text") if page else translate(lang, "page_waiting")
        return updates | {
            c.picture: html.page_picture(page, index, picture, view, lang),
            c.text_column: gr.update(visible=True),
            c.text: html.markdown(view) or f"*{nothing}*",
            c.regions: html.regions(view, lang),
        }

    def document(self, session: Session, conversion: Conversion, lang: str) -> Updates:
        """The whole of the selected document."""
        c = self._components
        file = conversion.files[session.selection.file]
        return {
            c.markdown: _text_of(file, Format.MD, lang),
            c.content_list: _text_of(file, Format.CONTENT_LIST, lang),
            c.timings: html.timings(file, lang),
            c.single_files: self._downloadable_copies(file) or None,
        }

    def new_cache_folder(self) -> Path:
        """Path of a folder, not made yet, from which Gradio hands files out."""
        return self._cache / secrets.token_hex(16)

    def _downloadable_copies(self, file: File) -> list[str]:
        """Copies of a document's files where Gradio serves them from."""
        if file.result is None or file.result.output_dir is None:
            return []
        if not file.downloadable:
            folder = self.new_cache_folder()
            folder.mkdir(parents=True)
            file.downloadable = [str(shutil.copy2(path, folder)) for path in file.result.files.values()]
        return [path for path in file.downloadable if Path(path).exists()]


def _text_of(file: File, fmt: Format, lang: str) -> str:
    """A document's file of a format, cut where it is too long; in place of one that is not there, why."""
    if file.result is None or file.result.output_dir is None:
        return "" if file.error else translate(lang, "until_done")
    path = file.result.files.get(fmt)
    if path is None:
        return translate(lang, "not_asked")
    try:
        with path.open(encoding="utf-8") as stream:
            text = stream.read(_MAX_CHARACTERS + 1)
    except OSError:
        return ""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}\n\n{translate(lang, 'cut')}"
