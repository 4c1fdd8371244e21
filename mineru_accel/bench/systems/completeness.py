"""Which files a system converts completely, found out before it is timed: the conversions must have the words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..quality.text import normalize
from .system import Conversion, System, convert

MIN_WORD_RECALL = 0.9
"""Least share of a document's words in a conversion whose time counts."""


@dataclass(slots=True)
class CheckedSystem:
    """A system and the result of its untimed conversion of every file."""

    system: System
    accepted: dict[Path, float] = field(default_factory=dict)
    """Files with a complete conversion, with their word recall."""
    rejected: dict[Path, str] = field(default_factory=dict)
    """All other files, with the reason."""


def words(text: str) -> Counter[str]:
    """Counts of the words in lower case; every CJK character is a word."""
    return Counter(re.findall(r"[\u3400-\u9fff]|[^\W_]+", normalize(text).lower()))


def word_recall(text: str, reference: str) -> float:
    """Share of the words of ``reference``, repeats included, that are in ``text``. 1.0 for an empty reference."""
    wanted = words(reference)
    return sum((wanted & words(text)).values()) / sum(wanted.values()) if wanted else 1.0


def check_system(system: System, references: Mapping[Path, str], *, timeout: float) -> CheckedSystem:
    """Convert all files in one process, then those without a result each in a process of its own, and check the texts.

    Args:
        system: the system under test.
        references: a text for each file whose words its conversion must have, see :data:`MIN_WORD_RECALL`. With an
            empty reference any text is accepted.
        timeout: seconds after which a process is ended.
    """
    checked = CheckedSystem(system)
    whole = convert(system, list(references), timeout=timeout)
    alone: dict[Path, Conversion] = {}
    if whole.texts:  # a system that converted no file at all is not started once more for each of them
        alone = {f: convert(system, [f], timeout=timeout) for f in references if f not in whole.texts}
    for file, reference in references.items():
        done = alone.get(file, whole)
        text = done.texts.get(file)
        if text is None:
            checked.rejected[file] = done.error or "wrote no Markdown"
        elif not normalize(text):
            checked.rejected[file] = "its Markdown is empty"
        elif (recall := word_recall(text, reference)) < MIN_WORD_RECALL:
            checked.rejected[file] = f"its Markdown has only {100 * recall:.0f} % of the words"
        else:
            checked.accepted[file] = recall
    return checked
