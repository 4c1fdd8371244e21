"""Peers, the other systems: how each is called, with its own recommended settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .system import read_text

SCRIPTS = Path(__file__).with_name("peer_scripts")
"""Programs for a peer's own Python; they import nothing of this package."""


@dataclass(frozen=True, slots=True)
class Mineru:
    """MinerU 4's flash tier, the only one that needs no downloaded models."""

    python: Path
    version: str
    name: str = "MinerU flash tier"
    settings: str = "mineru-kit parse --tier flash"

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        kit = self.python.with_name("mineru-kit")
        return [str(kit), "parse", *map(str, files), "-o", str(out / "out"), "--tier", "flash"]

    def environment(self, out: Path) -> dict[str, str]:
        """Offline, with a temporary home for its settings, unless MINERU_HOME is set."""
        offline = {"MINERU_MODEL_SOURCE": "local", "MINERU_HOME": str(out / "home")}
        return {} if "MINERU_HOME" in os.environ else offline

    def text(self, out: Path, file: Path) -> str | None:
        return read_text(out / "out" / f"{file.stem}.md")


@dataclass(frozen=True, slots=True)
class Docling:
    """docling's command with its defaults: layout model, TableFormer, OCR of pictures.

    If ``DOCLING_ARTIFACTS_PATH`` is a folder that ``peer_scripts/docling_random_layout.py`` made, its layout model has
    random weights, and tables and OCR are switched off because their models are missing: less work than by default.
    """

    python: Path
    version: str

    @property
    def random(self) -> bool:
        """Whether its layout model has random weights."""
        folder = os.environ.get("DOCLING_ARTIFACTS_PATH")
        return bool(folder) and (Path(folder or "") / "RANDOM_WEIGHTS").exists()

    @property
    def name(self) -> str:
        return "docling (layout of random weights, no tables, no OCR)" if self.random else "docling"

    @property
    def settings(self) -> str:
        return f"docling convert --to md{' --no-tables --no-ocr' if self.random else ''}"

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        less = ["--no-tables", "--no-ocr"] if self.random else []
        artifacts = os.environ.get("DOCLING_ARTIFACTS_PATH")
        where = ["--artifacts-path", artifacts] if artifacts else []
        start = [str(self.python.with_name("docling")), "convert", *map(str, files), "--to", "md", *less, *where]
        return [*start, "--image-export-mode", "referenced", "--output", str(out / "out")]

    def environment(self, out: Path) -> dict[str, str]:
        """Offline where its models are given, so that it does not wait for a missing network."""
        return {"HF_HUB_OFFLINE": "1"} if os.environ.get("DOCLING_ARTIFACTS_PATH") else {}

    def text(self, out: Path, file: Path) -> str | None:
        return read_text(out / "out" / f"{file.stem}.md")


@dataclass(frozen=True, slots=True)
class FlashMineru:
    """Flash-MinerU's Python API with the settings of its documentation; needs a GPU and ``FLASH_MINERU_MODEL``."""

    python: Path
    version: str
    name: str = "Flash-MinerU"
    settings: str = "MineruEngine(batch_size=16, num_gpus_per_replica=0.9, inflight=4), one replica a GPU"

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        return [str(self.python), str(SCRIPTS / "flash_mineru_convert.py"), str(out / "out"), *map(str, files)]

    def environment(self, out: Path) -> dict[str, str]:
        return {}

    def text(self, out: Path, file: Path) -> str | None:
        return read_text(out / "out" / file.stem / "vlm" / f"{file.stem}.md")
