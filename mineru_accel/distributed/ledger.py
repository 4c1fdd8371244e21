"""What the actors of a run have to agree on: names in OUT, and which parts of long documents are done.

One small actor beside the driver; asked once a document and once a part of a long one.
"""

from __future__ import annotations


class Ledger:
    """Answers a question that is asked again, because an actor was lost, in the same way."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._done: dict[int, set[int]] = {}
        self._last: dict[int, int] = {}

    def take(self, name: str, number: int) -> bool:
        """May the document of this number in the run have this name in OUT? Names differ also without case."""
        return self._names.setdefault(name.casefold(), number) == number

    def add(self, number: int, start: int, there: frozenset[int], total: int) -> bool:
        """A part is in the output store.

        Args:
            number: the document's place in the run.
            start: by which the part is known.
            there: parts that were there already when the document was opened.
            total: parts of the document.

        Returns:
            True for the part that was the last one; its caller writes the document.
        """
        done = self._done.setdefault(number, set())
        done |= {start, *there}
        if len(done) == total:
            self._last.setdefault(number, start)
        return self._last.get(number) == start
