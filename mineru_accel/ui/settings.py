"""Settings of the web page: the options of ``mineru-accel ui``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..options import Options


@dataclass(frozen=True, slots=True)
class Settings:
    """Address and users of the page, and their limits."""

    options: Options
    """The machine's, and the limit of pages; users choose the rest."""
    server_name: str = "127.0.0.1"
    server_port: int | None = None
    """None: the first free one from 7860."""
    share: bool = False
    auth: tuple[tuple[str, str], ...] = ()
    """Names and passwords; empty: everybody who reaches the page may use it."""
    output_dir: Path | None = None
    """Folder for users' files; None: the system's temporary folder."""
    max_files: int = 100
    """Maximum files per conversion."""
    max_file_mb: int = 200
    queue_size: int = 64
    """Maximum conversions under way or waiting."""
    keep_minutes: float = 60.0
    """Minutes that files are kept after their user was last heard of."""
    examples: bool = True
    preload: bool = False
