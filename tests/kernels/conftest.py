"""Without a GPU the kernels run in Triton's interpreter, chosen before the package is imported."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True)
def _poisoned_memory():
    """`torch.empty` is filled with NaN, so that an output nobody wrote fails; inputs are fresh for every run."""
    seed = torch.seed() % 2**31
    print(f"seed {seed}")
    torch.manual_seed(seed)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    from accel_kernels.shape_cache import SHAPES

    monkeypatch.setenv("MINERU_ACCEL_CACHE", str(tmp_path / "cache"))
    SHAPES.reload()
    yield
    SHAPES.reload()


@pytest.fixture
def device():
    from accel_kernels.ops import interpreting

    cuda = torch.cuda.is_available()
    assert cuda or interpreting(), "accel_kernels was imported before TRITON_INTERPRET=1 was set"
    return torch.device("cuda" if cuda else "cpu")
