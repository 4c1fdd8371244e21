"""Every patch by name, and what became of it in this process."""

from __future__ import annotations

import os
import threading
from importlib import import_module

from loguru import logger
from packaging.specifiers import SpecifierSet

from ..errors import UsageError, one_line
from ..hardware import accelerator
from .patch import NotApplicable, NotNeeded, Patch, State, Status, Undo

SWITCH = "MINERU_ACCEL_PATCHES"
"""Environment variable: auto, none, or names with commas between. Inherited by every process of an engine."""

_HOME = {
    "vllm-patch-embed": "vllm.patch_embed",
    "vllm-fast-processor": "vllm.fast_processor",
    "vllm-uint8-pixels": "vllm.uint8_pixels",
    "vllm-vit-fused": "vllm.vit_fused",
    "vllm-vit-graphs": "vllm.vit_graphs",
    "vllm-sparse-penalties": "vllm.sparse_penalties",
    "vllm-final-outputs": "vllm.final_outputs",
    "vllm-decode-steps": "vllm.decode_steps",
    "vllm-rocm-vit-attention": "vllm.rocm_vit_attention",
    "mineru-vl-utils-lora-tokenizer": "mineru_vl_utils.lora_tokenizer",
    "doclayout-yolo": "doclayout_yolo.predict",
}
"""Name of a patch -> its module, which holds ``PATCH``. Applied in this order."""

_lock = threading.RLock()
_applied: dict[str, tuple[Status, Undo]] = {}
_failed: dict[str, Status] = {}


def names() -> tuple[str, ...]:
    """Every patch, in the order in which they are applied."""
    return tuple(_HOME)


def find(name: str) -> Patch:
    """A patch's record.

    Raises:
        UsageError: if there is none of this name.
    """
    if name not in _HOME:
        raise UsageError(f"no patch is called {name!r}; there are {', '.join(_HOME)}")
    return import_module(f".{_HOME[name]}", __package__).PATCH


def selected(value: str | None = None) -> tuple[str, ...]:
    """The patches that `value` (default: the environment's ``MINERU_ACCEL_PATCHES``) names; unset means none.

    Raises:
        UsageError: if it names a patch that there isn't.
    """
    if value is None:
        value = os.environ.get(SWITCH, "none")
    wanted = [part for part in (p.strip() for p in value.split(",")) if part and part != "none"]
    if "auto" in wanted:
        return tuple(n for n in _HOME if n in wanted or find(n).auto)
    for name in wanted:
        find(name)
    return tuple(n for n in _HOME if n in wanted)


def apply(name: str) -> Status:
    """Apply a patch in this process; if it is active already, say so. A patch that can't apply changes nothing.

    Raises:
        UsageError: if there is none of this name.
    """
    patch = find(name)
    with _lock:
        if name in _applied:
            return _applied[name][0]
        _failed.pop(name, None)
        verdict = _verdict(patch)
        if verdict.state is not State.OFF:
            return _remember(verdict)
        undo = Undo()
        try:
            done = patch.install(undo)
        except Exception as error:
            state, reason = _judge(error)
            try:
                undo.run()
            except Exception as again:
                state, reason = State.FAILED, f"{reason}; undoing it failed too: {one_line(again, named=True)}"
            return _remember(Status(name, state, reason))
        status = Status(name, State.ACTIVE, done)
        _applied[name] = (status, undo)
        return _remember(status)


def apply_selected(package: str | None = None, value: str | None = None) -> list[Status]:
    """Apply what `selected` names, of one package or of all; a bad name is logged, never raised."""
    try:
        wanted = selected(value)
    except UsageError as error:
        logger.warning("{}: {}", SWITCH, error)
        return []
    return [apply(name) for name in wanted if package is None or find(name).package == package]


def revert(name: str) -> Status:
    """Take a patch back; what is not active stays as it is.

    Patches applied after it are lifted and put back, since they may have wrapped what it put in place.

    Raises:
        UsageError: if there is none of this name.
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
        return _verdict(patch)


def status() -> list[Status]:
    """One `Status` per patch, as this process has it; what is not active is judged by versions and hardware alone."""
    with _lock:
        return [
            _applied[name][0] if name in _applied else _failed.get(name) or _verdict(find(name)) for name in names()
        ]


def _verdict(patch: Patch) -> Status:
    """OFF if it would apply."""
    version = accelerator.version_of(patch.package)
    if version is None:
        return Status(patch.name, State.NOT_APPLICABLE, f"{patch.package} is not installed")
    if not SpecifierSet(patch.versions, prereleases=True).contains(version):
        return Status(patch.name, State.NOT_APPLICABLE, f"it is for {patch.package} {patch.versions}, not {version}")
    try:
        return Status(patch.name, State.OFF, patch.check())
    except Exception as error:
        return Status(patch.name, *_judge(error))


def _judge(error: Exception) -> tuple[State, str]:
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
