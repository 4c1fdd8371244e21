"""Page ranges as people write them: ``1-5,8,r3-r1`` (1-based; ``r1`` is the last page)."""

from __future__ import annotations

import re

_PART = re.compile(r"^(r?)(\d+)(?:(-)(?:(r?)(\d+))?)?$|^-(r?)(\d+)$")

Bound = tuple[bool, int]
"""(counted from the end, 1-based number)."""


def parse(text: str) -> list[tuple[Bound, Bound]]:
    """Parse a page range without knowing the document.

    ``3-`` runs to the last page, ``-3`` starts at the first.

    Raises:
        ValueError: for anything that is not such a list, and for page 0.
    """
    parts: list[tuple[Bound, Bound]] = []
    for raw in text.split(","):
        part = raw.strip().lower().replace(" ", "")
        match = _PART.match(part)
        if not match:
            raise ValueError(f"page range {text!r}: {raw.strip()!r} is not like '3', '1-5', 'r3-r1', '4-' or '-4'")
        if match[7] is not None:
            first, last = (False, 1), (bool(match[6]), int(match[7]))
        else:
            first = (bool(match[1]), int(match[2]))
            last = (bool(match[4]), int(match[5])) if match[5] else ((True, 1) if match[3] else first)
        if 0 in (first[1], last[1]):
            raise ValueError(f"page range {text!r}: pages are counted from 1")
        parts.append((first, last))
    return parts


def select(count: int, pages: str | None = None, start: int | None = None, end: int | None = None) -> list[int]:
    """The 0-based pages that a choice selects of a document with ``count`` pages, ascending, each once.

    Args:
        count: pages in the document.
        pages: a range as :func:`parse` takes it.
        start, end: 0-based, inclusive, as MinerU's ``-s`` and ``-e``; used when ``pages`` is None.

    Returns:
        Possibly empty: bounds outside the document are clipped.
    """
    if pages is None:
        return list(range(start or 0, count if end is None else min(end + 1, count)))
    chosen: set[int] = set()
    for first, last in parse(pages):
        a, b = (count - n if from_end else n - 1 for from_end, n in (first, last))
        if a > b and first[0] == last[0]:  # '5-2' is meant as '2-5'; '9-' of five pages is empty
            a, b = b, a
        chosen.update(range(max(a, 0), min(b, count - 1) + 1))
    return sorted(chosen)
