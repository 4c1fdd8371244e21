"""The facts on which a run's actors have to agree: names in OUT, attempts at batches, batches that are done.

The ledger is one small actor beside the driver. It is asked once per document, once per converting call, and once per
batch of a long document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

BatchKey = tuple[int, int]
"""Number of the document in the run, and position of the batch's first page."""


class LedgerProtocol(Protocol):
    """The calls of a :class:`Ledger`, which may be in another process."""

    def claim_name(self, name: str, number: int) -> bool: ...

    def begin_together(self, batches: Sequence[BatchKey]) -> list[int]: ...

    def begin_alone(self, batch: BatchKey) -> None: ...

    def survived(self, batches: Sequence[BatchKey]) -> None: ...

    def is_last(self, number: int, start: int, there: frozenset[int], total: int) -> bool: ...


class Ledger:
    """Gives the same answer to a call that is repeated because an actor was lost.

    Args:
        names: Taken names, see :attr:`names`.
    """

    def __init__(self, names: Mapping[str, int] | None = None) -> None:
        self._names = dict(names or {})
        self._done: dict[int, set[int]] = {}
        self._last: dict[int, int] = {}
        self._tries: dict[BatchKey, int] = {}

    def claim_name(self, name: str, number: int) -> bool:
        """Whether the document of this number may have this name in OUT: no other has it, in upper or lower case."""
        return self._names.setdefault(name.casefold(), number) == number

    @property
    def names(self) -> Mapping[str, int]:
        """The documents' numbers by their names in lower case."""
        return self._names

    def begin_together(self, batches: Sequence[BatchKey]) -> list[int]:
        """Begin to convert those of some batches with which no actor was lost.

        Returns:
            For each batch the number of attempts that have lost their actor. The batches with 0 are begun.
        """
        before = [self._tries.get(batch, 0) for batch in batches]
        for batch, tries in zip(batches, before, strict=True):
            self._tries[batch] = tries or 1
        return before

    def begin_alone(self, batch: BatchKey) -> None:
        """Begin to convert a batch with which an actor was lost, alone."""
        self._tries[batch] = self._tries.get(batch, 0) + 1

    def survived(self, batches: Sequence[BatchKey]) -> None:
        """Batches are converted, and their actor has survived."""
        for batch in batches:
            self._tries.pop(batch, None)

    def is_last(self, number: int, start: int, there: frozenset[int], total: int) -> bool:
        """Note that a batch is done.

        Args:
            number: The document's number in the run.
            start: Position of the batch's first page.
            there: Batches that were stored already when the document was opened, by ``start``.
            total: Number of batches of the document.

        Returns:
            True for the batch that was the last one; its caller writes the document.
        """
        done = self._done.setdefault(number, set())
        done |= {start, *there}
        if len(done) == total:
            self._last.setdefault(number, start)
        return self._last.get(number) == start
