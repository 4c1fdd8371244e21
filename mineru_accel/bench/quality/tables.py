"""Tables compared: TEDS (Zhong, ShafieiBavani, Jimeno Yepes 2020) on apted's tree edit distance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from ...errors import UsageError
from ...export.html_tables import Cell, parse_tables
from .text import levenshtein, normalize, text_similarity


def teds(one: str, two: str, *, structure: bool = False) -> float:
    """TEDS of two HTML tables, defined as by PubTabNet and OmniDocBench: 1 - edits / nodes below ``<table>``.

    A deleted or inserted node, or one with other spans, is one edit; a different text of a cell costs the normalized
    edit distance of the two texts. ``<th>`` counts as ``<td>``; ``<thead>`` and ``<tbody>`` are ignored; texts are
    compared normalized (:func:`~mineru_accel.bench.quality.text.normalize`). 0.0 if one is not a table.

    Args:
        one: HTML.
        two: HTML.
        structure: compare rows, cells and spans only (TEDS-S).

    Raises:
        UsageError: if apted is not installed.
    """
    first, second = tree(one, structure=structure), tree(two, structure=structure)
    nodes = max(first.size, second.size) - 1
    if not any(first.children) or not any(second.children):
        return 0.0
    if first == second:
        return 1.0
    try:
        from apted import APTED, Config
    except ImportError as error:
        raise UsageError("scoring tables needs apted: pip install 'mineru-accel[bench]'") from error

    class Costs(Config):
        def rename(self, node1: Node, node2: Node) -> float:
            if node1.label != node2.label:
                return 1.0
            longest = max(len(node1.text), len(node2.text))
            return levenshtein(node1.text, node2.text) / longest if longest else 0.0

    return max(0.0, 1.0 - float(APTED(first, second, Costs()).compute_edit_distance()) / nodes)


@dataclass(slots=True)
class Node:
    """A table, a row or a cell."""

    label: str
    """Tag, and spans other than 1."""
    text: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Nodes of the tree."""
        return 1 + sum(child.size for child in self.children)


def html_tables(markdown: str) -> list[str]:
    """The tables of some Markdown in order: HTML tables unchanged, pipe tables as HTML."""
    found = [(m.start(), m.group(0)) for m in re.finditer(r"<table\b.*?(?:</table>|\Z)", markdown, re.S | re.I)]
    pipes = r"(?m)^[ \t]*\|.*\|[ \t]*\n[ \t]*\|[ :|-]+\|[ \t]*(?:\n[ \t]*\|.*\|[ \t]*)*"
    for match in re.finditer(pipes, markdown):
        lines = [line.strip() for line in match.group(0).splitlines()]
        cells = [re.split(r"(?<!\\)\|", line[1:-1]) for line in [lines[0], *lines[2:]]]
        rows = [
            "".join(f"<td>{escape(cell.strip().replace(chr(92) + '|', '|'))}</td>" for cell in row) for row in cells
        ]
        found.append((match.start(), "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"))
    return [table for _, table in sorted(found)]


def without_tables(markdown: str) -> str:
    """Markdown without its tables."""
    markdown = re.sub(r"<table\b.*?(?:</table>|\Z)", "\n\n", markdown, flags=re.S | re.I)
    return re.sub(r"(?m)^[ \t]*\|.*\|[ \t]*\n[ \t]*\|[ :|-]+\|[ \t]*(?:\n[ \t]*\|.*\|[ \t]*)*", "\n\n", markdown)


def pairs(found: Sequence[str], truth: Sequence[str]) -> list[tuple[str, str | None]]:
    """Every true table with the most similar one found, each used once; None where none is left."""
    ranked = sorted(
        (
            (text_similarity(candidate, wanted), i, j)
            for i, wanted in enumerate(truth)
            for j, candidate in enumerate(found)
        ),
        key=lambda item: (-item[0], abs(item[1] - item[2])),
    )
    chosen: dict[int, int] = {}
    for _, i, j in ranked:
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    return [(wanted, found[chosen[i]] if i in chosen else None) for i, wanted in enumerate(truth)]


def tree(table: str, *, structure: bool = False) -> Node:
    """The tree of an HTML table that is compared, tables within cells included; no children if it is none."""
    rows = [
        Node("tr", children=[Node(_label(cell), "" if structure else normalize(cell.content)) for cell in row])
        for rows in parse_tables(table)
        for row in rows
    ]
    return Node("table", children=rows)


def _label(cell: Cell) -> str:
    return " ".join(["td", *(f"{name}={value}" for name, value in sorted(cell.spans.items()) if value != 1)])
