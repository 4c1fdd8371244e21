"""Fingerprints of results, by which a later run tells whether a result is still good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Fingerprint = dict[str, Any]
"""SHA-256 of the file and of the options, and the version of this package."""


def fingerprint(digest: str, options: Mapping[str, Any], version: str) -> Fingerprint:
    """The fingerprint of a result.

    Args:
        digest: SHA-256 of the source file.
        options: Those that change results.
        version: Of this package.
    """
    text = json.dumps(dict(options), sort_keys=True, default=str)
    return {"sha256": digest, "options": hashlib.sha256(text.encode()).hexdigest()[:16], "version": version}


def difference(was: object, now: Fingerprint) -> str | None:
    """The difference between two fingerprints in words; None if there is none."""
    if was == now:
        return None
    if not isinstance(was, dict) or was.get("sha256") != now["sha256"]:
        return "from another version of this file"
    if was.get("options") != now["options"]:
        return "with other options"
    return f"by version {was.get('version')} of mineru-accel"
