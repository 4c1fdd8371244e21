"""How the page is served: what ``mineru-accel ui``'s flags say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..options import Options


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the page is served, and what its users may ask for."""

    options: Options
    """Of the machine, and the limit of pages; users choose the rest."""
    server_name: str = "127.0.0.1"
    server_port: int | None = None
    """None: the first free one from 7860."""
    share: bool = False
    auth: tuple[tuple[str, str], ...] = ()
    """Names and passwords; none: everybody who reaches the page may use it."""
    output_dir: Path | None = None
    """Where users' files lie while they are kept; None: the system's temporary folder."""
    max_files: int = 100
    """Of a conversion."""
    max_file_mb: int = 200
    queue_size: int = 64
    """Conversions under way or waiting."""
    keep_minutes: float = 60.0
    """How long files are kept after their user was last heard of."""
    examples: bool = True
    preload: bool = False
