"""Reading order: where the blocks of the truth lie in a conversion."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from .text import distances, levenshtein


@dataclass(frozen=True, slots=True)
class Located:
    """What became of some blocks in a text."""

    places: list[int | None]
    """Where each block ends in the text; None: it is missing."""
    in_order: list[bool]
    """Whether it belongs to the longest run of blocks that come in the order given."""


def locate(text: str, blocks: Sequence[str], *, max_distance: float = 0.35) -> Located:
    """Look every block up by its best approximate match.

    Args:
        text: normalized (:func:`~mineru_accel.bench.quality.text.normalize`), as the blocks.
        blocks: in reading order, none empty. Equal matches in several places count where they fit best.
        max_distance: edits, as a share of a block's length, up to which it counts as found.
    """
    candidates: list[list[int]] = []
    chain: list[tuple[int, int]] = []  # the end of the best chain of each length: (place, number of its link)
    links: list[tuple[int, int, int]] = []  # (block, place, link before)
    for number, wanted in enumerate(blocks):
        at_each_place = distances(wanted, text, anywhere=True)
        best = min(at_each_place, default=len(wanted))
        found = best <= max_distance * len(wanted) and best < len(wanted)
        candidates.append([i for i, d in enumerate(at_each_place) if d == best] if found else [])
        for place in reversed(candidates[-1]):  # descending, so that a block can't follow itself
            at = bisect.bisect_left(chain, (place, -1))
            links.append((number, place, chain[at - 1][1] if at else -1))
            chain[at : at + 1] = [(place, len(links) - 1)]
    places: list[int | None] = [found[0] if found else None for found in candidates]
    in_order = [False] * len(blocks)
    link = chain[-1][1] if chain else -1
    while link >= 0:
        number, places[number], link = links[link]
        in_order[number] = True
    return Located(places, in_order)


def order_distance(located: Located) -> float:
    """OmniDocBench's reading-order edit distance, 0 to 1: of the blocks' numbers as found to their true order.

    A missing block is one deletion. 0.0 if there are no blocks.
    """
    count = len(located.places)
    found = [(place, number) for number, place in enumerate(located.places) if place is not None]
    sequence = [number for _, number in sorted(found)]
    return levenshtein(sequence, range(count)) / count if count else 0.0
