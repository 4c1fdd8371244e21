"""A patch's record, its status, and the undoing of its changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """State of a patch in this process."""

    ACTIVE = "active"
    OFF = "off"
    """Could be applied here, but is not switched on."""
    NOT_NEEDED = "not needed"
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """A patch's state in this process, with the reason. ``str()`` is one line for people."""

    name: str
    state: State
    reason: str

    def __str__(self) -> str:
        link = {State.ACTIVE: ": ", State.OFF: ": "}.get(self.state, ", because ")
        return f"{self.state}{link}{self.reason}" if self.reason else str(self.state)


class NotNeeded(Exception):
    """Raised by a patch if the package needs it no more. The message continues "not needed, because ..."."""


class NotApplicable(Exception):
    """Raised by a patch that can't work here. The message continues "not applicable, because ..."."""


class Undo:
    """Records what a patch changes, and undoes it in reverse order."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def setattr(self, owner: Any, name: str, value: object) -> None:
        """Set an attribute of a class or module. Undoing restores the owner's own, or removes it."""
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
        """Undo everything. The first error is raised after all steps have run."""
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
    """One patch of one package. Texts are whole sentences in Markdown, for the documentation."""

    name: str
    package: str
    """Name of the distribution that is changed."""
    versions: str
    """Versions of it that the patch fits: a PEP 440 specifier such as ``>=0.11,<0.29``."""
    replaces: str
    why: str
    how: str
    upstream: str
    """Related issues and pull requests."""
    remove_when: str
    check: Callable[[], str]
    """Looks at versions and hardware only, without importing the package, and raises `NotNeeded` or `NotApplicable`.
    Returns why the patch is worth having here."""
    install: Callable[[Undo], str]
    """Changes the package, through the `Undo` it is given; may raise the same. Returns what it did, in a few words."""
    measured: str = ""
    """Measured gain, with the conditions of the measurement; empty if none was measured."""
    auto: bool = True
    """Whether ``MINERU_ACCEL_PATCHES=auto`` selects it; otherwise only its name does."""
