"""What the kernels' tests share."""

import torch


def rms(y: torch.Tensor, truth: torch.Tensor) -> float:
    """Relative RMS error; NaN if anything is NaN."""
    from accel_kernels.tuning import relative_rms

    return relative_rms(y, truth)


def bound(dtype: torch.dtype, depth: int) -> float:
    from accel_kernels.tuning import tolerance

    return tolerance(dtype, depth)


def config(**more: int) -> dict[str, int]:
    """Small tiles for small test shapes."""
    return {"BM": 32, "BK": 16, "TW": 0, "num_warps": 4, "num_stages": 1, **more}


def using(**more: int):
    """Every lookup answers these tile sizes."""
    from accel_kernels.shape_cache import Choice, forced

    return forced(Choice("triton", config(**more), "test"))
