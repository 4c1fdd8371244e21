"""Random numbers of which a test that fails prints the seed."""

from __future__ import annotations

import secrets

import numpy as np


def fresh_seed() -> int:
    """Another seed in each run; printed, which pytest shows for a test that fails."""
    seed = secrets.randbits(31)
    print(f"seed {seed}")
    return seed


def generator() -> np.random.Generator:
    """Random numbers of a fresh seed."""
    return np.random.default_rng(fresh_seed())
