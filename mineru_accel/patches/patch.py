"""What a patch is: its record, its outcome, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What became of a patch in this process."""

    ACTIVE = "active"
    OFF = "off"
    """Would apply here, but nobody switched it on."""
    NOT_NEEDED = "not needed"
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """One patch's state in this process, with its reason. ``str()`` is one line for people."""

    name: str
    state: State
    reason: str

    def __str__(self) -> str:
        link = {State.ACTIVE: ": ", State.OFF: ": "}.get(self.state, ", because ")
        return f"{self.state}{link}{self.reason}" if self.reason else str(self.state)


class NotNeeded(Exception):
    """Raised by a patch: the package does it well already. The text continues "not needed, because ..."."""


class NotApplicable(Exception):
    """Raised by a patch: it can't work here. The text continues "not applicable, because ..."."""


class Undo:
    """Collects what a patch changes, and takes it back in reverse order."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def setattr(self, owner: Any, name: str, value: object) -> None:
        """Set an attribute of a class or module; undone to what stood in the owner's own namespace."""
        own = vars(owner)
        if name in own:
            before = own[name]
            self._steps.append(lambda: setattr(owner, name, before))
        else:
            self._steps.append(lambda: delattr(owner, name))
        setattr(owner, name, value)

    def setitem(self, mapping: Any, key: Any, value: object) -> None:
        """Set an item of a dictionary."""
        if key in mapping:
            before = mapping[key]
            self._steps.append(lambda: mapping.__setitem__(key, before))
        else:
            self._steps.append(lambda: mapping.pop(key, None))
        mapping[key] = value

    def call(self, step: Callable[[], object]) -> None:
        """Run `step` when the patch is reverted."""
        self._steps.append(step)

    def run(self) -> None:
        """Take everything back. The first error is raised after all steps have run."""
        errors = []
        while self._steps:
            try:
                self._steps.pop()()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of one package.

    ``check`` looks at versions and hardware only (no import of the package) and raises `NotNeeded` or `NotApplicable`;
    it returns why the patch is worth having here. ``install`` changes the package, noting every change in the `Undo`
    it is given, and may raise the same; it returns what it did, in a few words.
    """

    name: str
    package: str
    """The distribution that is changed."""
    versions: str
    """Which versions of it: a PEP 440 specifier such as ``>=0.11,<0.29``."""
    replaces: str
    why: str
    how: str
    upstream: str
    """Issue or pull request."""
    remove_when: str
    check: Callable[[], str]
    install: Callable[[Undo], str]
    auto: bool = True
    """Part of ``MINERU_ACCEL_PATCHES=auto``; otherwise only by name."""
