"""Spans (low, high) of one axis."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[float, float]


def overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    """Length that two spans share; where they share none, minus the gap between them."""
    return min(a1, b1) - max(a0, b0)


def union_of_spans(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, with those that touch merged into one."""
    out: list[Span] = []
    for low, high in sorted(spans):
        if out and low <= out[-1][1]:
            if high > out[-1][1]:
                out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return out
