"""The other systems: where they are installed, how they are called with their own recommended settings.

Each lives in an environment of its own (their requirements contradict ours and each other's) that you make::

    uv venv ~/.cache/mineru-accel/peers/docling
    uv pip install --python ~/.cache/mineru-accel/peers/docling/bin/python docling==2.143.0

``mineru-accel bench peers`` prints these lines for every peer and says what it finds. ``MINERU_ACCEL_PEERS`` names
another folder, ``--peer NAME=PYTHON`` a single environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import EXIT_OK, UsageError
from .system import System, read

SCRIPTS = Path(__file__).parents[1] / "peer_scripts"
"""Programs that a peer's own Python runs; they import nothing of ours."""


@dataclass(frozen=True, slots=True)
class Mineru:
    """MinerU 4: its model-free tier, the only one that runs without downloaded models."""

    python: Path
    version: str
    name: str = "MinerU flash tier"
    settings: str = "mineru-kit parse --tier flash"

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        kit = self.python.with_name("mineru-kit")
        return [str(kit), "parse", *map(str, files), "-o", str(out / "out"), "--tier", "flash"]

    def environment(self, out: Path) -> dict[str, str]:
        """Offline and with a home of its own, unless you chose otherwise: it writes its settings there."""
        ours = {"MINERU_MODEL_SOURCE": "local", "MINERU_HOME": str(out / "home")}
        return {} if "MINERU_HOME" in os.environ else ours

    def text(self, out: Path, file: Path) -> str | None:
        return read(out / "out" / f"{file.stem}.md")


@dataclass(frozen=True, slots=True)
class Docling:
    """docling's command with its defaults: layout model, TableFormer, OCR of pictures.

    With ``DOCLING_ARTIFACTS_PATH`` at a folder that ``peer_scripts/docling_random_layout.py`` made, its layout model
    has random weights; tables and OCR are switched off then, since their models are missing: less work than usual.
    """

    python: Path
    version: str

    @property
    def random(self) -> bool:
        """Whether its models are stand-ins."""
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
        """With its models at hand it need not wait for a network that may not be there."""
        return {"HF_HUB_OFFLINE": "1"} if os.environ.get("DOCLING_ARTIFACTS_PATH") else {}

    def text(self, out: Path, file: Path) -> str | None:
        return read(out / "out" / f"{file.stem}.md")


@dataclass(frozen=True, slots=True)
class FlashMineru:
    """Flash-MinerU's Python API with its documentation's settings; needs a GPU and ``FLASH_MINERU_MODEL``."""

    python: Path
    version: str
    name: str = "Flash-MinerU"
    settings: str = "MineruEngine(batch_size=16, num_gpus_per_replica=0.9, inflight=4), one replica a GPU"

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        return [str(self.python), str(SCRIPTS / "flash_mineru_convert.py"), str(out / "out"), *map(str, files)]

    def environment(self, out: Path) -> dict[str, str]:
        return {}

    def text(self, out: Path, file: Path) -> str | None:
        return read(out / "out" / file.stem / "vlm" / f"{file.stem}.md")


@dataclass(frozen=True, slots=True)
class Known:
    """A peer as such."""

    distribution: str
    requirement: str
    """What to install."""
    make: Callable[[Path, str], System] | None
    """None: finds layout only, for ``bench layout`` and ``bench quality``."""


KNOWN = {
    "mineru": Known("mineru", "mineru==4.0.12", Mineru),
    "docling": Known("docling", "docling==2.143.0", Docling),
    "flash-mineru": Known("flash-mineru", "'flash-mineru[vllm]==1.0.1'", FlashMineru),
    "doclayout-yolo": Known("doclayout-yolo", "doclayout-yolo==0.0.4 huggingface_hub", None),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--against`` and ``--peer``."""
    parser.add_argument(
        "--against", default="", metavar="NAMES", help=f"other systems to measure in turn, of {','.join(KNOWN)}"
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help="the Python that has a peer installed"
    )


def folder() -> Path:
    """Where peers' environments are looked for."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MINERU_ACCEL_PEERS") or cache / "mineru-accel" / "peers")


def pythons(given: Sequence[str]) -> dict[str, Path]:
    """The values of ``--peer``.

    Raises:
        UsageError: for an unknown peer or a file that isn't there.
    """
    chosen = {}
    for entry in given:
        name, _, path = entry.partition("=")
        if name not in KNOWN:
            raise UsageError(f"--peer {entry}: known peers are {', '.join(KNOWN)}")
        if not Path(path).is_file():
            raise UsageError(f"--peer {entry}: no such file")
        chosen[name] = Path(path).absolute()  # not resolved: a venv's python is a link to another's
    return chosen


def find(name: str, chosen: dict[str, Path]) -> tuple[Path, str] | None:
    """A peer's Python and version: as chosen, in :func:`folder`, or in our own environment; None if it has none."""
    ours = Path(sys.executable)
    for python in (chosen.get(name), folder() / name / "bin" / "python", ours):
        if python is None or not python.exists():
            continue
        code = f"from importlib.metadata import version; print(version({KNOWN[name].distribution!r}))"
        try:
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return python, done.stdout.strip()
    return None


def asked_for(against: str, given: Sequence[str]) -> tuple[dict[str, tuple[Path, str]], dict[str, str]]:
    """The peers of ``--against``: (Python, version) of those found, and why not of the others.

    Raises:
        UsageError: for an unknown name.
    """
    chosen = pythons(given)
    found, missing = {}, {}
    for name in [n.strip() for n in against.split(",") if n.strip()]:
        if name not in KNOWN:
            raise UsageError(f"--against {name}: known peers are {', '.join(KNOWN)}")
        place = find(name, chosen)
        if place is None:
            missing[name] = f"not installed; {'; '.join(how_to_install(name))}"
        else:
            found[name] = place
    return found, missing


def how_to_install(name: str) -> list[str]:
    """The lines that make a peer's environment."""
    home = folder() / name
    return [f"uv venv {home}", f"uv pip install --python {home}/bin/python {KNOWN[name].requirement}"]


def run(argv: Sequence[str]) -> int:
    """Say which peers there are."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench peers", description=__doc__)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="look there first")
    chosen = pythons(parser.parse_args(argv).peer)
    for name in KNOWN:
        place = find(name, chosen)
        print(f"{name}: {f'{place[1]}, {place[0]}' if place else 'not installed; to install it:'}")
        if place is None:
            print("".join(f"  {line}\n" for line in how_to_install(name)), end="")
    return EXIT_OK
