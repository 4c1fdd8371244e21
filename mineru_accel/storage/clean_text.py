"""What may stand in a written file: all text of pages, reports and files goes through :func:`clean`.

PDFs and models say bytes that can't be text: control characters, halves of surrogate pairs, code points that are no
characters. Characters that turn the direction of the text after them make it read otherwise than it is.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any, TypeVar, cast

T = TypeVar("T")

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(map(chr, (p << 16 | low for p in range(17) for low in (0xFFFE, 0xFFFF))))
_DIRECTIONS = "\u202a-\u202e\u2066-\u2069"
_FORBIDDEN = f"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff{_DIRECTIONS}{_NONCHARACTERS}"
_UNWRITABLE = re.compile(f"[{_FORBIDDEN}]")
_REMOVED = re.compile(f"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f{_DIRECTIONS}{_NONCHARACTERS}]")
_SPACES = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
"""Control characters that separate words."""
_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[bf]|u00[01])")
"""A control character in JSON."""
_REFERENCE = re.compile(r"&#(?:[0-9]+|[xX][0-9a-fA-F]+);?")


def clean(text: str) -> str:
    """A text without what can't be written; pairs of surrogates become the character that they stand for."""
    if not _UNWRITABLE.search(text):
        return text
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _SPACES.sub(" ", _REMOVED.sub("", text))


def clean_references(markup: str) -> str:
    """HTML without references to characters that can't be written: renderers replace them by the characters."""
    return _REFERENCE.sub(_clean_reference, markup) if "&#" in markup else markup


def clean_values(value: T) -> T:
    """A JSON value whose strings are all clean, at any depth, those that are keys included."""
    if isinstance(value, str):
        return cast(T, clean(value))
    if isinstance(value, dict):
        return cast(T, {clean_values(key): clean_values(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return cast(T, [clean_values(item) for item in value])
    return value


def dump(value: Any, indent: int | None = None) -> str:
    """A value as JSON whose strings are clean."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if not _is_clean(text):
        text = json.dumps(clean_values(value), ensure_ascii=False, indent=indent)
    return text


def _is_clean(text: str) -> bool:
    """Whether JSON holds nothing that can't be written; quick tests first, since most of it is plain."""
    if not text.replace("\n", "").isprintable() and _UNWRITABLE.search(text):
        return False
    return not (any(start in text for start in ("\\b", "\\f", "\\u00")) and _ESCAPE.search(text))


def _clean_reference(match: re.Match[str]) -> str:
    char = html.unescape(match[0].rstrip(";") + ";")
    return match[0] if char and clean(char) == char else ""
