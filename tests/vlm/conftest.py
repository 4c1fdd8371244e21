"""Checkpoints and servers for tests of the VLM."""

from __future__ import annotations

from pathlib import Path

import pytest
import vlm_checkpoints


@pytest.fixture(scope="session")
def trained() -> Path:
    """A tiny VLM that knows ``vlm_checkpoints.PAGES`` by heart."""
    pytest.importorskip("torch")
    return vlm_checkpoints.trained_checkpoint()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny VLM of random weights; its outputs depend on every one of them."""
    pytest.importorskip("torch")
    return vlm_checkpoints.random_checkpoint(tmp_path_factory.mktemp("random"))
