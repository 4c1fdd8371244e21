"""The adapter to MinerU 4: raw blocks -> ModelJson -> MiddleJson -> every output format.

MinerU's document types and renderers live in docvortex, which ``mineru.types`` and ``mineru.render`` re-export. One
private helper of MinerU is used (marked); all of it is kept to this module.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from docvortex.postprocess.document import model_json_to_middle_json
from docvortex.render.markdown import render_single_block
from docvortex.schema import PAGE_AUXILIARY_BLOCK_TYPES, PageBlock
from mineru.backend.analysis.pdf.normalization import _normalize_pdf_model_list  # private
from mineru.config import config
from mineru.integrations.docvortex import build_metadata, read_source_properties
from mineru.render import (
    render_content_list,
    render_content_list_v2,
    render_docx,
    render_epub,
    render_html,
    render_latex,
    render_markdown,
)
from mineru.types import DocumentMetadata, MiddleJson, ModelJson, Producer
from pydantic import BaseModel

from ..document import Block
from ..errors import one_line
from ..options import Format
from ..storage.clean_text import clean_values
from ..version import __version__
from .formula_text import FormulaTexts, add_formula_texts, with_alternative_texts
from .inactive_text import escape_document
from .layout_pdf import layout_pdf
from .nested_lists import nest_lists

_NO_FORMULAS: FormulaTexts = {}
M = TypeVar("M", bound=BaseModel)

SUFFIXES = {
    Format.MD: ".md",
    Format.CONTENT_LIST: "_content_list.json",
    Format.CONTENT_LIST_V2: "_content_list_v2.json",
    Format.MIDDLE: "_middle.json",
    Format.MODEL: "_model.json",
    Format.HTML: ".html",
    Format.DOCX: ".docx",
    Format.LATEX: ".tex",
    Format.EPUB: ".epub",
    Format.LAYOUT_PDF: "_layout.pdf",
}


def build_model(
    pages: list[list[Block]], indices: list[int] | None, effort: str, parse_mode: str, pdf: bytes
) -> ModelJson:
    """MinerU's raw document.

    Args:
        pages: blocks in reading order, one list per page.
        indices: 0-based numbers of the pages, None when they are the whole document.
        effort: MinerU's name for how hard was tried: ``flash`` (no layout model), ``medium``, ``high``, ``xhigh``.
        parse_mode: ``txt`` or ``ocr``, whichever most pages used.
        pdf: the file, for title, author and dates.

    Raises:
        ValueError: if a block breaks MinerU's rules; see :func:`drop_invalid`.
    """
    _normalize_pdf_model_list(pages)
    return ModelJson(
        pages=pages,
        page_index_map=indices or [],
        metadata=DocumentMetadata(
            file_suffix="pdf",
            producer=Producer(name="mineru-accel", version=__version__),
            document=_clean_properties(read_source_properties(pdf, "pdf", None)),
        ),
        extensions=build_metadata(effort=effort, parse_mode=parse_mode),
    )


def _clean_properties(properties: M) -> M:
    """Title, author and the like without what can't be written."""
    return type(properties).model_validate(clean_values(properties.model_dump(mode="python")))


def to_middle(model: ModelJson) -> MiddleJson:
    """MinerU's structured document: paragraphs joined across pages, captions attached, headings levelled, lists in
    lists."""
    return nest_lists(model_json_to_middle_json(model))


def drop_invalid(pages: list[list[Block]]) -> list[tuple[int, str]]:
    """Take out the blocks that MinerU's types refuse, since a single one would fail the document.

    Returns:
        (position in ``pages``, reason) for each block taken out.
    """
    dropped = []
    for number, page in enumerate(pages):
        kept = []
        for block in page:
            try:
                _validate([json.loads(json.dumps(block))])
                kept.append(block)
            except ValueError as error:
                dropped.append(
                    (number, f"a {block.get('type')} block broke MinerU's rules and was left out: {one_line(error)}")
                )
        page[:] = kept
    return dropped


def _validate(blocks: list[Block]) -> MiddleJson:
    pages = [blocks]
    _normalize_pdf_model_list(pages)
    metadata = DocumentMetadata(file_suffix="pdf", producer=Producer(name="mineru-accel", version=__version__))
    return to_middle(ModelJson(pages=pages, page_index_map=[], metadata=metadata))


def page_blocks(blocks: list[Block]) -> list[PageBlock]:
    """The blocks of one page as its Markdown has them, captions in their figures, running heads left out."""
    try:
        middle = _validate(copy.deepcopy(blocks))
    except ValueError:
        pages = [blocks]
        drop_invalid(pages)
        middle = _validate(pages[0])
    return [block for page in middle.pages for block in page.blocks if block.type not in PAGE_AUXILIARY_BLOCK_TYPES]


def render_block(block: PageBlock, formulas: FormulaTexts = _NO_FORMULAS) -> str:
    """One block as Markdown."""
    text = render_single_block(block, delimiters=config.render.latex_delimiters, asset_base_url="").strip("\n")
    return with_alternative_texts(text, formulas)


def empty(model: ModelJson, whole: bool, pages: list[int]) -> tuple[ModelJson, MiddleJson]:
    """The raw and the structured document without pages; ``model`` must have none.

    Args:
        whole: whether all pages of the file were converted.
        pages: 0-based numbers of the converted ones.
    """
    middle = to_middle(model)
    return (
        model.model_copy(update={"page_index_map": [] if whole else pages}),
        middle.model_copy(update={"is_full_document": whole}),
    )


def markdown(middle: MiddleJson, formulas: FormulaTexts = _NO_FORMULAS) -> str:
    """Markdown of which nothing is active, whatever the text says.

    Args:
        formulas: characters of formulas that are kept as pictures.
    """
    return with_alternative_texts(render_markdown(escape_document(middle)), formulas)


def content_list(middle: MiddleJson, formulas: FormulaTexts = _NO_FORMULAS) -> list[Any]:
    """MinerU's flat list of blocks; see :func:`markdown`."""
    return add_formula_texts(render_content_list(escape_document(middle)), formulas)


def content_list_v2(middle: MiddleJson) -> list[Any]:
    """MinerU's list of blocks by page."""
    return render_content_list_v2(middle)


def middle_dict(middle: MiddleJson) -> dict[str, Any]:
    """The contents of ``_middle.json``."""
    return middle.to_dict(exclude_block_fields={"image_base64"})


def render(
    fmt: Format,
    model: ModelJson,
    middle: MiddleJson,
    formulas: FormulaTexts,
    pdf: bytes,
    title: str,
    assets: Path,
) -> bytes:
    """One output file.

    Args:
        formulas: see :func:`markdown`.
        pdf: the source, for the layout PDF.
        title: for formats that need one.
        assets: the folder that holds ``images/``.
    """
    if fmt is Format.MD:
        return markdown(middle, formulas).encode()
    if fmt is Format.CONTENT_LIST:
        return _json(content_list(middle, formulas))
    return _RENDERERS[fmt](model, middle, pdf, title, lambda name: (assets / name).read_bytes())


_Resolver = Callable[[str], bytes]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


_RENDERERS: dict[Format, Callable[[ModelJson, MiddleJson, bytes, str, _Resolver], bytes]] = {
    Format.CONTENT_LIST_V2: lambda model, middle, pdf, title, assets: _json(content_list_v2(middle)),
    Format.MIDDLE: lambda model, middle, pdf, title, assets: middle.to_json(
        exclude_block_fields={"image_base64"}
    ).encode(),
    Format.MODEL: lambda model, middle, pdf, title, assets: model.to_json(skip_defaults=False).encode(),
    Format.HTML: lambda model, middle, pdf, title, assets: render_html(middle, document_title=title).encode(),
    Format.DOCX: lambda model, middle, pdf, title, assets: render_docx(middle, asset_resolver=assets),
    Format.LATEX: lambda model, middle, pdf, title, assets: render_latex(middle, document_title=title).encode(),
    Format.EPUB: lambda model, middle, pdf, title, assets: render_epub(middle, title=title, asset_resolver=assets),
    Format.LAYOUT_PDF: lambda model, middle, pdf, title, assets: layout_pdf(pdf, middle),
}
