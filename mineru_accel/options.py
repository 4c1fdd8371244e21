"""The options of a conversion. Command, Python API and page are three views of these fields."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Backend(StrEnum):
    """How content is read, see the README's table of back ends."""

    AUTO = "auto"
    PIPELINE = "pipeline"
    HYBRID = "hybrid"
    VLM = "vlm"


class Layout(StrEnum):
    """Who finds the regions of a page."""

    AUTO = "auto"
    DOCLAYOUT_YOLO = "doclayout-yolo"
    VLM = "vlm"
    NATIVE = "native"


class Method(StrEnum):
    """Where text comes from."""

    AUTO = "auto"
    TXT = "txt"
    OCR = "ocr"


class Images(StrEnum):
    """What becomes of pictures."""

    FILE = "file"
    EMBED = "embed"
    NONE = "none"


class Format(StrEnum):
    """Everything that can be written for a document."""

    MD = "md"
    CONTENT_LIST = "content_list"
    CONTENT_LIST_V2 = "content_list_v2"
    MIDDLE = "middle"
    MODEL = "model"
    HTML = "html"
    DOCX = "docx"
    LATEX = "latex"
    EPUB = "epub"
    LAYOUT_PDF = "layout_pdf"


DEFAULT_FORMATS = (
    Format.MD,
    Format.CONTENT_LIST,
    Format.CONTENT_LIST_V2,
    Format.MIDDLE,
    Format.MODEL,
    Format.LAYOUT_PDF,
)

BACKEND_ALIASES = {
    "vlm-transformers": Backend.VLM,
    "vlm-vllm-engine": Backend.VLM,
    "vlm-vllm-async-engine": Backend.VLM,
    "vlm-http-client": Backend.VLM,
    "vlm-auto-engine": Backend.VLM,
    "hybrid-auto-engine": Backend.HYBRID,
    "hybrid-transformers": Backend.HYBRID,
    "hybrid-vllm-engine": Backend.HYBRID,
    "hybrid-http-client": Backend.HYBRID,
}
"""Names of back ends that users of MinerU know."""


class Options(BaseModel):
    """How to convert documents. Every field has a default; unknown names raise ``pydantic.ValidationError``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Backend = Field(
        Backend.AUTO, description="auto, pipeline (no VLM), hybrid or vlm; MinerU's names work too."
    )
    layout: Layout = Field(Layout.AUTO, description="auto, doclayout-yolo, vlm, or native (docvortex, model-free).")
    method: Method = Field(
        Method.AUTO, description="auto decides page by page; txt: the text layer only; ocr: always OCR."
    )
    pages: str | None = Field(None, description="Pages to convert, 1-based: '1-5,8,r3-r1' (r counts from the end).")
    start: int | None = Field(None, ge=0, description="First page, 0-based (as MinerU's -s).")
    end: int | None = Field(None, ge=0, description="Last page, 0-based, inclusive (as MinerU's -e).")
    max_pages: int | None = Field(None, ge=1, description="Convert only the first so many of these pages.")
    lang: str = Field("auto", description="Language of scans: one model reads some fifty, the others give a warning.")
    dpi: int = Field(200, ge=36, le=1200, description="Resolution of cropped pictures and of pages for OCR.")
    formats: tuple[Format, ...] = Field(DEFAULT_FORMATS, description="What to write for each document.")
    images: Images = Field(Images.FILE, description="file: beside the Markdown; embed: in it as data URIs; none.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu or cuda[:n].")
    workers: int | None = Field(None, ge=1, le=256, description="Worker processes; default: one per core, 16 at most.")
    password: str | None = Field(None, description="Password of encrypted PDFs.", repr=False)
    overwrite: bool = Field(False, description="Replace results that are there already instead of skipping them.")
    layout_weights: Path | None = Field(None, description="Weights of DocLayout-YOLO (.pt or .safetensors).")
    imgsz: int | None = Field(None, ge=128, le=4096, description="Long side of the layout model's input in pixels.")
    page_timeout: float = Field(
        120.0, ge=1, le=86400, description="Seconds one page may take in one stage before it is given up."
    )
    offline: bool = Field(False, description="Never use the network, not even for a missing model.")

    @field_validator("backend", mode="before")
    @classmethod
    def _classic_names(cls, value: object) -> object:
        return BACKEND_ALIASES.get(value, value) if isinstance(value, str) else value

    @field_validator("formats", mode="before")
    @classmethod
    def _formats_from_text(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("pages")
    @classmethod
    def _pages_parse(cls, value: str | None) -> str | None:
        if value is not None:
            from .pdf.page_range import parse

            parse(value)
        return value

    @model_validator(mode="after")
    def _one_page_choice(self) -> Options:
        if self.pages is not None and (self.start is not None or self.end is not None):
            raise ValueError("give either pages or start/end, not both")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"end ({self.end}) is before start ({self.start})")
        if not self.formats:
            raise ValueError("formats is empty: nothing would be written")
        return self
