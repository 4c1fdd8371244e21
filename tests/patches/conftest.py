"""Stand-ins for packages of other versions, and a registry that every test leaves as it found it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import vlm_checkpoints
from packaging.version import Version

from mineru_accel import patches
from mineru_accel.hardware import accelerator


@pytest.fixture(autouse=True)
def nothing_applied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MINERU_ACCEL_PATCHES", raising=False)
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "0")  # where there are GPUs, the one that takes processors
    yield
    for name in patches.names():
        patches.revert(name)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-VL whose tokens are bytes."""
    pytest.importorskip("vllm")
    return vlm_checkpoints.random_checkpoint(tmp_path_factory.mktemp("random"))


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``versions(vllm="0.19.1")``: what seems to be installed; None for not at all. Others are as they are."""
    real = accelerator.version_of

    def pretend(**installed: str | None) -> None:
        given = {name.replace("_", "-"): value for name, value in installed.items()}

        def version_of(package: str) -> Version | None:
            if package not in given:
                return real(package)
            return Version(given[package]) if given[package] else None

        monkeypatch.setattr(accelerator, "version_of", version_of)

    return pretend


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """``module("a.b", Name=...)``: a stand-in module and its parents, found by ``import`` until the test is over."""

    def make(name: str, **names: Any) -> ModuleType:
        parent = None
        for i in range(1, name.count(".") + 2):
            path = ".".join(name.split(".")[:i])
            if getattr(sys.modules.get(path), "__stand_in__", False):
                found = sys.modules[path]
            else:
                found = ModuleType(path)
                found.__stand_in__ = True
                found.__path__ = []
                monkeypatch.setitem(sys.modules, path, found)
            if parent is not None:
                setattr(parent, path.rpartition(".")[2], found)
            parent = found
        assert parent is not None
        for key, value in names.items():
            setattr(parent, key, value)
        return parent

    return make
