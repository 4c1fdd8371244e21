"""Shared by all ops: the torch library that they are registered in, and the choice between implementations."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .shape_cache import SHAPES, Choice, Config

LIBRARY = torch.library.Library("accel_kernels", "DEF")
log = logging.getLogger("accel_kernels")


def register(schema: str, implementation: Callable[..., Tensor], fake: Callable[..., Tensor]) -> None:
    """Define `accel_kernels::<schema>` for every device, with its shape rule for tracing."""
    name = schema.split("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.needs_fixed_stride_order, torch.Tag.pt2_compliant_tag))
    LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(f"accel_kernels::{name}", fake, lib=LIBRARY)


def interpreting() -> bool:
    """Whether Triton kernels run in Python on the CPU (TRITON_INTERPRET=1 when the package was imported)."""
    from ._tile import silu

    return type(silu).__name__ == "InterpretedFunction"


def run_triton(
    op: str,
    x: Tensor,
    family: str,
    exact: str,
    size: int,
    implementation: str,
    default: Config,
    runners: dict[str, Callable[[Config], Tensor]],
) -> Tensor:
    """Run the chosen one of `runners`; "auto" looks it up, and falls back to "vendor" where the kernel can't run.

    "own" is "auto" without the vendor's library wherever our kernel has a configuration: cuDNN and MIOpen make a plan
    for every new shape, in every thread (1-2 ms each, 50 in the layout network), and the order of their sums may depend
    on the batch.

    Raises ValueError for an implementation that this op doesn't have; an explicit one raises whatever it raises.
    """
    if implementation not in ("auto", "own"):
        if implementation not in runners:
            names = ["auto", "own", *sorted(runners)]
            raise ValueError(f"{op}: implementation must be one of {names}, got {implementation!r}")
        choice = SHAPES.lookup(op, x.device, x.dtype, family, exact, size)
        usable = choice is not None and bool(choice.config)
        return runners[implementation](choice.config if choice is not None and usable else default)
    choice = choose(op, x, family, exact, size)
    chosen = choice.implementation
    if implementation == "own" and choice.tier not in ("cpu", "unknown"):
        chosen = "triton"
    if chosen == "vendor":
        return runners["vendor"](choice.config)
    try:
        return runners[chosen](choice.config or default)
    except Exception as error:
        if not is_triton_error(error):
            raise
        log.warning("%s %s %s: %s, using the vendor's kernels", op, family, exact, error)
        return runners["vendor"](choice.config)


def choose(op: str, x: Tensor, family: str, exact: str, size: int) -> Choice:
    """The implementation that "auto" means for this shape: looked up; the vendor on a CPU and for unknown dtypes."""
    if not x.is_cuda:
        return Choice("vendor", tier="cpu")
    return SHAPES.lookup(op, x.device, x.dtype, family, exact, size) or Choice("vendor", tier="unknown")


def is_triton_error(error: Exception) -> bool:
    """Compilation failures and kernels too large for the device, not wrong arguments or memory faults."""
    return type(error).__module__.startswith("triton.") or isinstance(error, NotImplementedError)


def tma_descriptors(device: torch.device) -> Any:
    """triton's TensorDescriptor class where device and triton have tensor memory accelerators, else None."""
    if device.type != "cuda" or torch.version.hip or torch.cuda.get_device_capability(device)[0] < 9:
        return None
    try:
        from triton.tools.tensor_descriptor import TensorDescriptor
    except ImportError:
        return None
    return TensorDescriptor


def split_columns(n: int, limit: int = 256) -> tuple[int, int]:
    """(BN0, BN1), powers of two of at least 16 (BN1 may be 0), that cover n columns with the least padding.

    96 -> (64, 32), 192 -> (128, 64), 64 -> (64, 0), 5 -> (16, 0); what exceeds `limit` is covered by several programs.
    """
    whole = max(16, 1 << (n - 1).bit_length())
    if whole > limit:
        return limit, 0
    half = whole // 2
    rest = max(16, 1 << (n - half - 1).bit_length()) if n > half else 0
    return (half, rest) if half >= 16 and half + rest < whole else (whole, 0)
