"""Reading order of a conversion: the places of the true blocks in its text."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from .text import distances, levenshtein


@dataclass(frozen=True, slots=True)
class Located:
    """Places of some blocks in a text."""

    places: list[int | None]
    """End of each block in the text; None for a missing block."""
    in_order: list[bool]
    """True for blocks of the longest sequence in the given order."""


def locate(text: str, blocks: Sequence[str], *, max_distance: float = 0.35) -> Located:
    """Find the best approximate match of every block.

    Args:
        text: normalized with :func:`~mineru_accel.bench.quality.text.normalize`, like the blocks.
        blocks: in reading order, none empty. Of equal matches the one that fits the order best counts.
        max_distance: maximum edit distance of a match, as a share of the block's length.
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
    """OmniDocBench's reading-order edit distance, 0 to 1: between the blocks' numbers in the found and the true order.

    A missing block is one deletion. 0.0 if there are no blocks.
    """
    count = len(located.places)
    found = [(place, number) for number, place in enumerate(located.places) if place is not None]
    sequence = [number for _, number in sorted(found)]
    return levenshtein(sequence, range(count)) / count if count else 0.0
