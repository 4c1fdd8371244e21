"""Long documents are assembled in parts, so that neither memory nor the wait for the first text grows with them.

A part gives the same bytes as if the whole document had been rendered at once: it sees the pages next to it, and
Markdown is cut only where no paragraph, list or table goes on over the edge of the page.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from loguru import logger
from mineru.types import MiddleJson

from ..errors import OutputError, one_line
from ..options import Format
from ..pdf.opening import open_document
from ..pdf.page_copies import join
from ..storage import page_store
from . import mineru
from .formula_text import FormulaTexts
from .layout_pdf import layout_pages
from .pages import assemble
from .types import PART, Part, PartDone, PartJob, Writing

IN_PARTS = frozenset(
    {Format.MD, Format.CONTENT_LIST, Format.CONTENT_LIST_V2, Format.MIDDLE, Format.MODEL, Format.LAYOUT_PDF}
)
"""Formats that are assembled in parts; the others are rendered from the whole document."""
_GAP = "\n\n"
_MOST_TEXT = 4 * PART
"""Pages after which the text is cut even where a paragraph goes on."""


def write_part(job: PartJob) -> PartDone:
    """Assemble a part, and append its text to the visible Markdown. Runs in a worker.

    Raises:
        OutputError: if the disk is full or the folder not writable.
    """
    started = time.perf_counter()
    part, document = job.part, job.document
    staging = Path(document.staging)
    low, _ = part.around
    pdf = open_document(document.key).data
    assembled = assemble(document, document.pages, pdf)
    model, middle, formulas = assembled.model, assembled.middle, assembled.formulas
    done = PartDone(_text_end(middle, part))
    done.warnings = {
        i: w for i, w in assembled.warnings.items() if i in document.pages[part.start - low : part.stop - low]
    }
    own = _slice(middle, part.start - low, part.stop - low)
    text = _slice(middle, part.text_from - low, done.text_to - low)
    make: dict[Format, Any] = {
        Format.MD: lambda: _text(text, formulas),
        Format.CONTENT_LIST: lambda: _items(mineru.content_list(own, formulas)),
        Format.CONTENT_LIST_V2: lambda: _items(mineru.content_list_v2(own)),
        Format.MIDDLE: lambda: _inside(mineru.middle_dict(own)),
        Format.MODEL: lambda: _inside({"pages": model.pages[part.start - low : part.stop - low]}),
        Format.LAYOUT_PDF: lambda: layout_pages(pdf, own, _shown(job, low)),
    }
    try:
        folder = staging / page_store.FOLDER / "parts"
        folder.mkdir(exist_ok=True)
        for fmt in job.formats:
            if fmt not in IN_PARTS:
                continue
            path = _path(staging, part.number, fmt)
            try:
                data = make[fmt]()
            except OSError:
                raise
            except Exception as error:  # reported when the document is written
                logger.opt(exception=error).debug("{} of part {} of {}", fmt, part.number, document.name)
                path.with_suffix(".failed").write_text(one_line(error, named=True), encoding="utf-8")
                continue
            page_store.write_file(path, data)
        if Format.MD in job.formats:
            _append_to_markdown(staging, document.name, part.number)
    except OSError as error:
        raise OutputError(f"can't write results: {error.strerror or error}") from error
    done.seconds = time.perf_counter() - started
    return done


def write_joined(fmt: Format, document: Writing, parts: int, pdf: bytes, target: Path) -> None:
    """Make a document's file from its parts.

    Raises:
        RuntimeError: if a part failed.
    """
    staging = Path(document.staging)
    paths = [_path(staging, number, fmt) for number in range(parts)]
    for path in paths:
        failed = path.with_suffix(".failed")
        if not path.exists():
            raise RuntimeError(failed.read_text(encoding="utf-8") if failed.exists() else f"{path.name} is missing")
    if fmt is Format.LAYOUT_PDF:
        join(paths, target)
        return
    head, gap, tail = b"", b"", b""
    if fmt in (Format.CONTENT_LIST, Format.CONTENT_LIST_V2):
        head, gap, tail = b"[\n", b",\n", b"\n]"
    elif fmt is not Format.MD:
        model = mineru.build_model([], None, document.effort, document.parse_mode, pdf)
        frame = mineru.empty(model, whole=document.whole, pages=document.pages)
        value = frame[0].to_dict(skip_defaults=False) if fmt is Format.MODEL else mineru.middle_dict(frame[1])
        before, found, after = json.dumps(value, ensure_ascii=False, indent=4).partition('\n    "pages": []')
        assert found
        head, gap, tail = f'{before}\n    "pages": [\n'.encode(), b",\n", f"\n    ]{after}".encode()
    with target.open("wb") as out:
        out.write(head)
        first = True
        for path in paths:
            data = path.read_bytes()
            if data:
                out.write(data if first else gap + data)
                first = False
        if fmt is Format.MD and not first:
            out.truncate(out.tell() - len(_GAP))
        out.seek(0, 2)
        out.write(tail)


def _path(staging: Path, number: int, fmt: Format) -> Path:
    return staging / page_store.FOLDER / "parts" / f"{fmt}-{number:05}.bin"


def _append_to_markdown(staging: Path, name: str, number: int) -> None:
    """Append a part's text to the Markdown in the work folder, for users who watch it grow."""
    before = sum(p.stat().st_size for n in range(number) if (p := _path(staging, n, Format.MD)).exists())
    with (staging / f"{name}{mineru.SUFFIXES[Format.MD]}").open("ab") as out:
        out.truncate(before)  # what a killed run wrote more
        out.write(_path(staging, number, Format.MD).read_bytes())


def _text_end(middle: MiddleJson, part: Part) -> int:
    """Position where the text of this part ends: before the last page that continues nothing of an earlier one."""
    low, high = part.around
    if part.stop == part.count:
        return part.count
    for position in range(part.stop, part.text_from, -1):
        if position < high and _starts_afresh(middle.pages[position - low].blocks):
            return position
    return part.stop if part.stop - part.text_from >= _MOST_TEXT else part.text_from


def _starts_afresh(blocks: list[Any]) -> bool:
    """Whether the first block of each type on a page continues no earlier one."""
    seen: set[str] = set()
    for block in blocks:
        if block.type not in seen and getattr(block, "continues_prev", None):
            return False
        seen.add(block.type)
    return True


def _slice(middle: MiddleJson, start: int, stop: int) -> MiddleJson:
    """The document with some of its pages only. They were assembled with their neighbours, so that paragraphs and
    tables over the edge are joined as in the whole document."""
    return middle.model_copy(update={"pages": middle.pages[start:stop]})


def _text(middle: MiddleJson, formulas: FormulaTexts) -> bytes:
    text = mineru.markdown(middle, formulas)
    return (text + _GAP).encode() if text else b""


def _items(items: list[Any]) -> bytes:
    """A JSON list without its brackets."""
    return json.dumps(items, ensure_ascii=False, indent=2)[2:-2].encode() if items else b""


def _inside(value: dict[str, Any]) -> bytes:
    """The list ``pages`` of a JSON object without its brackets, indented as in the whole object."""
    text = json.dumps({"pages": value["pages"]}, ensure_ascii=False, indent=4)
    return text[text.index("[") + 2 : text.rindex("]") - 5].encode() if value["pages"] else b""


def _shown(job: PartJob, low: int) -> range:
    """0-based pages of the file that the layout PDF shows with this part, converted or not."""
    part, pages = job.part, job.document.pages
    first = 0 if part.start == 0 else pages[part.start - low]
    return range(first, job.until if job.until is not None else 1 << 31)
