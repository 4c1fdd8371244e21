"""Random numbers of which a test that fails prints the seed."""

from __future__ import annotations

import secrets

import numpy as np


def generator() -> np.random.Generator:
    """Another seed in each run; printed, which pytest shows for a test that fails."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return np.random.default_rng(seed)
