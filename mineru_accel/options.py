"""The options of a conversion. Command, Python API and page are three views of these fields."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Backend(StrEnum):
    """How content is read, see the table of back ends in docs/usage.md."""

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


class Engine(StrEnum):
    """What runs MinerU's VLM."""

    AUTO = "auto"
    VLLM = "vllm"
    HTTP = "http"
    TRANSFORMERS = "transformers"


class Kind(StrEnum):
    """Kinds of regions, for ``vlm_for``."""

    TITLE = "title"
    TEXT = "text"
    CAPTION = "caption"
    FURNITURE = "furniture"
    TABLE = "table"
    EQUATION = "equation"
    IMAGE = "image"


class Method(StrEnum):
    """Where text comes from."""

    AUTO = "auto"
    TXT = "txt"
    OCR = "ocr"


class Executor(StrEnum):
    """Where a run takes place."""

    LOCAL = "local"
    RAY = "ray"


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

ENGINE_ALIASES = {"transformers": Engine.TRANSFORMERS, "vllm": Engine.VLLM, "http": Engine.HTTP}
"""The engine that such a name means, by the word after the first hyphen."""

DEFAULT_VLM = "MinerU2.5-Pro-2605-1.2B"


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
    max_pages: int | None = Field(None, ge=1, description="Convert at most this many of these pages, the first ones.")
    lang: str = Field("auto", description="Language of scans: one model reads some fifty, the others give a warning.")
    dpi: int = Field(200, ge=36, le=1200, description="Resolution of cropped pictures and of pages for OCR.")
    formats: tuple[Format, ...] = Field(DEFAULT_FORMATS, description="What to write for each document.")
    images: Images = Field(Images.FILE, description="file: beside the Markdown; embed: in it as data URIs; none.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu or cuda[:n].")
    workers: int | None = Field(None, ge=1, le=256, description="Worker processes; default: one per core, 32 at most.")
    executor: Executor = Field(Executor.LOCAL, description="local: this machine; ray: a Ray cluster.")
    ray_address: str | None = Field(
        None,
        description="auto, HOST:PORT or local (its own); default: $RAY_ADDRESS, what ray start runs here, or local.",
    )
    ray_actors: int | None = Field(None, ge=1, description="Actors that convert pages; default: what the cluster has.")
    ray_gpus: float | None = Field(None, ge=0, description="GPUs (or a fraction) of such an actor; default: its share.")
    part_pages: int = Field(
        16, ge=16, le=64, multiple_of=16, description="Pages that go to a Ray actor together, and are lost with it."
    )
    password: str | None = Field(None, description="Password of encrypted PDFs.", repr=False)
    overwrite: bool = Field(False, description="Replace results that are there already instead of skipping them.")
    layout_weights: Path | None = Field(None, description="Weights of DocLayout-YOLO (.pt or .safetensors).")
    imgsz: int | None = Field(None, ge=128, le=4096, description="Long side of the layout model's input in pixels.")
    page_timeout: float = Field(
        120.0, ge=1, le=86400, description="Seconds one page may take in one stage before it is given up."
    )
    engine: Engine = Field(
        Engine.AUTO, description="What runs the VLM: auto, vllm (started here), http or transformers."
    )
    urls: tuple[str, ...] = Field(
        (), description="OpenAI-compatible servers of the VLM; several share the work. MINERU_VL_API_KEY is their key."
    )
    vlm: str = Field(DEFAULT_VLM, description="The VLM: a known name, or a folder with a checkpoint.")
    vlm_for: tuple[Kind, ...] | None = Field(
        None,
        description="hybrid: which regions the VLM reads, of title, text, caption, furniture, table, equation, image; "
        "default: what the text layer can't say.",
    )
    describe_images: bool = Field(False, description="Let the VLM describe pictures and read charts.")
    vllm_args: dict[str, Any] = Field(default_factory=dict, description="Engine arguments of vLLM, by name.")
    vlm_replicas: int | None = Field(
        None, ge=1, le=8, description="Engines of vLLM on each GPU; default: 1, or 2 on large ones with many cores."
    )
    timeout: float = Field(
        300.0, ge=1, le=86400, description="Seconds one request to the VLM may take, attempts included."
    )
    document_timeout: float | None = Field(
        None, ge=1, le=31_536_000, description="Seconds a document may take in all before it is given up."
    )
    worker_memory: int | None = Field(
        None, ge=256, description="MB a worker may take; default: its share of the machine's memory, 1024 to 4096."
    )
    resume: bool | None = Field(
        None, description="Go on where a killed run stopped, page by page; default: for documents found in folders."
    )
    max_failed_pages: int | None = Field(None, ge=0, description="Give the run up when more pages have failed.")
    fail_fast: bool = Field(False, description="Give the run up at the first page or document that fails.")
    profile: Path | None = Field(None, description="Write a trace of the run there, for ui.perfetto.dev.")
    offline: bool = Field(False, description="Never use the network, not even for a missing model.")

    @model_validator(mode="before")
    @classmethod
    def _engine_of_classic_names(cls, values: Any) -> Any:
        """``vlm-http-client`` names an engine too; one that is given as such wins."""
        name = values.get("backend") if isinstance(values, dict) else None
        if isinstance(name, str) and name in BACKEND_ALIASES:
            engine = ENGINE_ALIASES.get(name.split("-")[1])
            if engine and values.get("engine", Engine.AUTO) == Engine.AUTO:
                return {**values, "engine": engine}
        return values

    @field_validator("backend", mode="before")
    @classmethod
    def _classic_names(cls, value: object) -> object:
        return BACKEND_ALIASES.get(value, value) if isinstance(value, str) else value

    @field_validator("formats", "urls", "vlm_for", mode="before")
    @classmethod
    def _list_from_text(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("urls")
    @classmethod
    def _urls_parse(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not re.match(r"https?://[^/\s]+", url):
                raise ValueError(f"{url!r} is no address like http://host:30000")
        return value

    @field_validator("pages")
    @classmethod
    def _pages_parse(cls, value: str | None) -> str | None:
        if value is not None:
            from .page_range import parse

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
