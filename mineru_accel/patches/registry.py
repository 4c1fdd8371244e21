"""Applying and reverting patches by name, and the state of each in this process."""

from __future__ import annotations

import os
import threading

from loguru import logger
from packaging.specifiers import SpecifierSet

from ..errors import UsageError, one_line
from ..hardware import accelerator
from .patch import NotApplicable, NotNeeded, Patch, State, Status, Undo
from .records import PATCHES

SWITCH = "MINERU_ACCEL_PATCHES"
"""Environment variable: auto, none, or names with commas between. Inherited by every process of an engine."""

KNOWN: dict[str, Patch] = {patch.name: patch for patch in PATCHES}

_lock = threading.RLock()
_applied: dict[str, tuple[Status, Undo]] = {}
_failed: dict[str, Status] = {}


def names() -> tuple[str, ...]:
    """Every patch, in the order in which they are applied."""
    return tuple(KNOWN)


def find(name: str) -> Patch:
    """A patch's record.

    Raises:
        UsageError: if no patch has this name.
    """
    if name not in KNOWN:
        raise UsageError(f"no patch is called {name!r}; there are {', '.join(KNOWN)}")
    return KNOWN[name]


def selected(value: str | None = None) -> tuple[str, ...]:
    """The patches that a value of the switch selects, in the order in which they are applied.

    Args:
        value: as `SWITCH`; by default the environment's, and "none" if that is unset.

    Raises:
        UsageError: if it names an unknown patch.
    """
    if value is None:
        value = os.environ.get(SWITCH, "none")
    wanted = [part for part in (p.strip() for p in value.split(",")) if part and part != "none"]
    if "auto" in wanted:
        return tuple(name for name, patch in KNOWN.items() if name in wanted or patch.auto)
    for name in wanted:
        find(name)
    return tuple(name for name in KNOWN if name in wanted)


def apply(name: str) -> Status:
    """Apply a patch in this process. One that is active stays so; one that can't apply changes nothing.

    Raises:
        UsageError: if no patch has this name.
    """
    patch = find(name)
    with _lock:
        if name in _applied:
            return _applied[name][0]
        _failed.pop(name, None)
        verdict = _checked(patch)
        if verdict.state is not State.OFF:
            return _remember(verdict)
        undo = Undo()
        try:
            done = patch.install(undo)
        except Exception as error:
            state, reason = _state_of(error)
            try:
                undo.run()
            except Exception as again:
                state, reason = State.FAILED, f"{reason}; undoing it failed too: {one_line(again, named=True)}"
            return _remember(Status(name, state, reason))
        status = Status(name, State.ACTIVE, done)
        _applied[name] = (status, undo)
        return _remember(status)


def apply_selected(package: str | None = None, value: str | None = None) -> list[Status]:
    """Apply what `selected` gives, of one package or of all. An unknown name is logged, never raised."""
    try:
        wanted = selected(value)
    except UsageError as error:
        logger.warning("{}: {}", SWITCH, error)
        return []
    return [apply(name) for name in wanted if package is None or find(name).package == package]


def revert(name: str) -> Status:
    """Undo a patch; one that is not active stays as it is.

    Patches applied after it are undone and applied again, since they may have wrapped what it put in place.

    Raises:
        UsageError: if no patch has this name.
    """
    patch = find(name)
    with _lock:
        if name in _applied:
            order = list(_applied)
            later = order[order.index(name) + 1 :]
            for each in reversed([name, *later]):
                _applied.pop(each)[1].run()
            for each in later:
                apply(each)
        _failed.pop(name, None)
        return _checked(patch)


def status() -> list[Status]:
    """One `Status` per patch in this process. Those not applied are only checked: no package is imported."""
    with _lock:
        return [
            _applied[name][0] if name in _applied else _failed.get(name) or _checked(patch)
            for name, patch in KNOWN.items()
        ]


def _checked(patch: Patch) -> Status:
    """A patch's status by versions and hardware alone; OFF if it could be applied."""
    version = accelerator.version_of(patch.package)
    if version is None:
        return Status(patch.name, State.NOT_APPLICABLE, f"{patch.package} is not installed")
    if not SpecifierSet(patch.versions, prereleases=True).contains(version):
        return Status(patch.name, State.NOT_APPLICABLE, f"it is for {patch.package} {patch.versions}, not {version}")
    try:
        return Status(patch.name, State.OFF, patch.check())
    except Exception as error:
        return Status(patch.name, *_state_of(error))


def _state_of(error: Exception) -> tuple[State, str]:
    """The state and reason of a patch whose functions raised this."""
    if isinstance(error, NotNeeded):
        return State.NOT_NEEDED, str(error)
    if isinstance(error, NotApplicable):
        return State.NOT_APPLICABLE, str(error)
    return State.FAILED, one_line(error, named=True)


def _remember(status: Status) -> Status:
    if status.state in (State.FAILED, State.NOT_NEEDED, State.NOT_APPLICABLE):
        _failed[status.name] = status
    level = "WARNING" if status.state is State.FAILED else "DEBUG"
    logger.log(level, "patch {} (pid {}): {}", status.name, os.getpid(), status)
    return status
