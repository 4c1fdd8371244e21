"""Measuring side by side: what a system can do is found out first, then all are timed in turn on the same files."""

from __future__ import annotations

import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..quality.text import normalize
from .system import Conversion, System, convert

SOUND = 0.9
"""Share of the words of a document that a conversion must have for its time to count."""


@dataclass(slots=True)
class Trial:
    """What a system made of the files when it was tried: before any of its times counts."""

    system: System
    sound: dict[Path, float] = field(default_factory=dict)
    """Files whose conversion holds, with the share of the words that it has."""
    unsound: dict[Path, str] = field(default_factory=dict)
    """The others, and why."""


def words(text: str) -> Counter[str]:
    """How often each word occurs, whatever the case; every CJK character is a word."""
    return Counter(re.findall(r"[\u3400-\u9fff]|[^\W_]+", normalize(text).lower()))


def word_recall(text: str, reference: str) -> float:
    """Share of the words of ``reference`` that ``text`` has, repeats counted. 1.0 for an empty reference."""
    wanted = words(reference)
    return sum((wanted & words(text)).values()) / sum(wanted.values()) if wanted else 1.0


def attempt(system: System, references: Mapping[Path, str], *, timeout: float) -> Trial:
    """Convert every file once: all at once, then those that gave nothing each by itself.

    Args:
        references: a text by file that its conversion must have, see :data:`SOUND`; an empty one asks for some
            text only.
    """
    trial = Trial(system)
    whole = convert(system, list(references), timeout=timeout)
    lone: dict[Path, Conversion] = {}
    if whole.texts:  # a system that converts nothing at all won't do better seven times more
        lone = {f: convert(system, [f], timeout=timeout) for f in references if f not in whole.texts}
    for file, reference in references.items():
        done = lone.get(file, whole)
        text = done.texts.get(file)
        if text is None:
            trial.unsound[file] = done.error or "wrote no Markdown"
        elif not normalize(text):
            trial.unsound[file] = "its Markdown is empty"
        elif (recall := word_recall(text, reference)) < SOUND:
            trial.unsound[file] = f"its Markdown has only {100 * recall:.0f} % of the words"
        else:
            trial.sound[file] = recall
    return trial


def in_turn(runs: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each, A B A B: what disturbs the machine for a while disturbs all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, measured in runs.items():
            times[name].append(measured())
    return times


def median(times: Sequence[float]) -> float:
    """The median, to a millisecond."""
    return round(statistics.median(times), 3)


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)
