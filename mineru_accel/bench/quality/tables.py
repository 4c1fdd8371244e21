"""Tables compared: TEDS (Zhong, ShafieiBavani, Jimeno Yepes 2020) on apted's tree edit distance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

from ...errors import UsageError
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
    mine, theirs = tree(one, structure=structure), tree(two, structure=structure)
    nodes = max(mine.size, theirs.size) - 1
    if not any(mine.children) or not any(theirs.children):
        return 0.0
    if mine == theirs:
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

    return max(0.0, 1.0 - float(APTED(mine, theirs, Costs()).compute_edit_distance()) / nodes)


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
        ((text_similarity(mine, theirs), i, j) for i, theirs in enumerate(truth) for j, mine in enumerate(found)),
        key=lambda item: (-item[0], abs(item[1] - item[2])),
    )
    chosen: dict[int, int] = {}
    for _, i, j in ranked:
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    return [(theirs, found[chosen[i]] if i in chosen else None) for i, theirs in enumerate(truth)]


class _Tree(HTMLParser):
    """Builds the tree of the first table; tables within cells are text."""

    def __init__(self, structure: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.structure = structure
        self.table = Node("table")
        self.cell: list[str] | None = None

    def _close(self) -> None:
        if self.cell is not None and not self.structure:
            self.table.children[-1].children[-1].text = normalize("".join(self.cell))
        self.cell = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._close()
            self.table.children.append(Node("tr"))
        elif tag in ("td", "th") and self.table.children:
            self._close()
            spans = [f"{k}={int(v)}" for k, v in sorted(attrs) if k in ("rowspan", "colspan") and v and v.isdigit()]
            self.table.children[-1].children.append(Node(" ".join(["td", *(s for s in spans if s[8:] != "1")])))
            self.cell = []
        elif tag in ("br", "p") and self.cell is not None:
            self.cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._close()

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)


def tree(table: str, *, structure: bool = False) -> Node:
    """The tree of an HTML table that is compared; no children if it is none."""
    parser = _Tree(structure)
    parser.feed(table)
    parser.close()
    parser._close()
    return parser.table
