"""Environments of the other systems: where they are looked for and how to make them.

Each peer has an environment of its own (their requirements contradict this package's and each other's) that you make::

    uv venv ~/.cache/mineru-accel/peers/docling
    uv pip install --python ~/.cache/mineru-accel/peers/docling/bin/python docling==2.143.0

``mineru-accel bench peers`` prints these lines for every peer and says which are installed. ``MINERU_ACCEL_PEERS``
names another folder, ``--peer NAME=PYTHON`` a single environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from .peers import Docling, FlashMineru, Mineru
from .system import System


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer's package and its adapter."""

    distribution: str
    requirement: str
    """Arguments of ``pip install``."""
    make: Callable[[Path, str], System] | None
    """Makes the system from its Python and version. None for a package that finds layout only."""


PEERS = {
    "mineru": Peer("mineru", "mineru==4.0.12", Mineru),
    "docling": Peer("docling", "docling==2.143.0", Docling),
    "flash-mineru": Peer("flash-mineru", "'flash-mineru[vllm]==1.0.1'", FlashMineru),
    "doclayout-yolo": Peer("doclayout-yolo", "doclayout-yolo==0.0.4 huggingface_hub", None),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--against`` and ``--peer``."""
    parser.add_argument(
        "--against", default="", metavar="NAMES", help=f"other systems to measure in turn, of {','.join(PEERS)}"
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help="the Python that has a peer installed"
    )


def peers_folder() -> Path:
    """Folder with one environment per peer."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MINERU_ACCEL_PEERS") or cache / "mineru-accel" / "peers")


def given_pythons(given: Sequence[str]) -> dict[str, Path]:
    """The Pythons that ``--peer`` names, by peer.

    Raises:
        UsageError: for an unknown peer or a missing file.
    """
    chosen = {}
    for entry in given:
        name, _, path = entry.partition("=")
        if name not in PEERS:
            raise UsageError(f"--peer {entry}: known peers are {', '.join(PEERS)}")
        if not Path(path).is_file():
            raise UsageError(f"--peer {entry}: no such file")
        chosen[name] = Path(path).absolute()  # not resolved: a venv's python is a link to another's
    return chosen


def find_peer(name: str, chosen: dict[str, Path]) -> tuple[Path, str] | None:
    """A peer's Python and version: as chosen, in :func:`folder`, or in our own environment; None if it has none."""
    ours = Path(sys.executable)
    for python in (chosen.get(name), peers_folder() / name / "bin" / "python", ours):
        if python is None or not python.exists():
            continue
        code = f"from importlib.metadata import version; print(version({PEERS[name].distribution!r}))"
        try:
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return python, done.stdout.strip()
    return None


def requested_peers(against: str, given: Sequence[str]) -> tuple[dict[str, tuple[Path, str]], dict[str, str]]:
    """The peers of ``--against``: (Python, version) of those installed, and the reason for each missing one.

    Raises:
        UsageError: for an unknown name.
    """
    chosen = given_pythons(given)
    found, missing = {}, {}
    for name in [n.strip() for n in against.split(",") if n.strip()]:
        if name not in PEERS:
            raise UsageError(f"--against {name}: known peers are {', '.join(PEERS)}")
        place = find_peer(name, chosen)
        if place is None:
            missing[name] = f"not installed; {'; '.join(install_commands(name))}"
        else:
            found[name] = place
    return found, missing


def install_commands(name: str) -> list[str]:
    """Shell commands that make a peer's environment."""
    home = peers_folder() / name
    return [f"uv venv {home}", f"uv pip install --python {home}/bin/python {PEERS[name].requirement}"]
