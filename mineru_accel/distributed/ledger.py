"""What the actors of a run have to agree on: names in OUT, which batches have killed actors, which are done.

One small actor beside the driver; asked once a document, once a call that converts, and once a batch that is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

BatchKey = tuple[int, int]
"""A document's place in the run, and the position of the batch's first page."""


class Agreed(Protocol):
    """A :class:`Ledger`, wherever it is."""

    def take(self, name: str, number: int) -> bool: ...

    def begin(self, batches: Sequence[BatchKey]) -> list[int]: ...

    def begin_again(self, batch: BatchKey) -> None: ...

    def end(self, batches: Sequence[BatchKey]) -> None: ...

    def add(self, number: int, start: int, there: frozenset[int], total: int) -> bool: ...


class Ledger:
    """Answers a question that is asked again, because an actor was lost, in the same way.

    Args:
        names: that are taken already, see :meth:`take`.
    """

    def __init__(self, names: Mapping[str, int] | None = None) -> None:
        self._names = dict(names or {})
        self._done: dict[int, set[int]] = {}
        self._last: dict[int, int] = {}
        self._tries: dict[BatchKey, int] = {}

    def take(self, name: str, number: int) -> bool:
        """May the document of this number in the run have this name in OUT? Names differ also without case."""
        return self._names.setdefault(name.casefold(), number) == number

    @property
    def names(self) -> Mapping[str, int]:
        """Taken, without case, and by which document."""
        return self._names

    def begin(self, batches: Sequence[BatchKey]) -> list[int]:
        """Batches are about to be converted together, those at least with which no actor was lost.

        Returns:
            For each how often it was begun before and not ended: 0 for those that are begun now.
        """
        before = [self._tries.get(batch, 0) for batch in batches]
        for batch, tries in zip(batches, before, strict=True):
            self._tries[batch] = tries or 1
        return before

    def begin_again(self, batch: BatchKey) -> None:
        """A batch with which an actor was lost is about to be converted alone."""
        self._tries[batch] = self._tries.get(batch, 0) + 1

    def end(self, batches: Sequence[BatchKey]) -> None:
        """The batches' actor has outlived them."""
        for batch in batches:
            self._tries.pop(batch, None)

    def add(self, number: int, start: int, there: frozenset[int], total: int) -> bool:
        """A batch is in the output store.

        Args:
            number: the document's place in the run.
            start: by which the batch is known.
            there: batches that were there already when the document was opened.
            total: batches of the document.

        Returns:
            True for the batch that was the last one; its caller writes the document.
        """
        done = self._done.setdefault(number, set())
        done |= {start, *there}
        if len(done) == total:
            self._last.setdefault(number, start)
        return self._last.get(number) == start
