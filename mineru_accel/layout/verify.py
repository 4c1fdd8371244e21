"""Whether a file holds the layout model."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError
from ..models.locate import Verification, expected_sha256, sha256


def verify(path: Path) -> Verification:
    """Check a file's SHA-256, if one is known for it, and that it loads as a layout model.

    Raises:
        ModelError: the file can't be read.
    """
    from .checkpoint import load_checkpoint
    from .network.architecture import build_graph

    actual, expected = sha256(path), expected_sha256(path)
    if expected and actual != expected:
        return Verification(False, actual, f"{path}: its SHA-256 is {actual}, expected {expected}: download it again")
    try:
        checkpoint = load_checkpoint(path)
        build_graph(checkpoint)
    except ModelError as exc:
        return Verification(False, actual, str(exc))
    loads = f"loads: scale {checkpoint.scale}, {len(checkpoint.classes)} classes, imgsz {checkpoint.imgsz}"
    return Verification(True, actual, f"{loads}; SHA-256 {'as expected' if expected else 'not known beforehand'}")
