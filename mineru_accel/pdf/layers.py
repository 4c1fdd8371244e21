"""Optional content ("layers") of a PDF: whether any of it may be switched off."""

from __future__ import annotations

import re
import zlib

_PROPERTIES = re.compile(rb"/OCProperties\b")
_OFF = re.compile(rb"/OFF\b(?!\s*\[\s*\])")
"""A layer that is off, by itself or by its use; an empty list of them is none."""
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm\b.*?stream\r?\n", re.DOTALL)
_MAX_HEADER = 2000
"""Bytes between a stream's type and its data; more is no stream."""
_MAX_UNPACKED = 64 << 20
"""Bytes of unpacked object streams that are searched, so that a file can't make it a long work."""


def may_hide_layers(data: bytes) -> bool:
    """Whether a PDF has layers of which one may be off: a quick search that reads no structure.

    Args:
        data: a PDF's bytes, not encrypted.
    """
    if _PROPERTIES.search(data) and _OFF.search(data):
        return True
    has_layers = is_off = False
    left = _MAX_UNPACKED
    for match in _OBJECT_STREAM.finditer(data):
        if match.end() - match.start() > _MAX_HEADER or left <= 0:
            continue
        try:
            unpacked = zlib.decompressobj().decompress(data[match.end() :], left)
        except zlib.error:
            continue
        left -= len(unpacked)
        has_layers = has_layers or bool(_PROPERTIES.search(unpacked))
        is_off = is_off or bool(_OFF.search(unpacked))
        if is_off and (has_layers or _PROPERTIES.search(data)):
            return True
    return False
