"""CUDA graphs on a CPU: what is captured is the list of kernels and the tensors they read and write, nothing else.

`Tape` stands in for ``torch.cuda.CUDAGraph`` and `record` for ``torch.cuda.graph``. Replaying runs the same ATen and
custom ops on the same tensors, with the same numbers baked in; Python does not run again. What a capture on a GPU
forbids and a CPU can show (a tensor's value read on the host, pinned memory) raises here as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FORBIDDEN = ("pin_memory", "is_pinned", "nonzero", "_local_scalar_dense", "lift_fresh", "masked_select", "unique")
EMPTY = ("aten::empty", "aten::new_empty", "aten::empty_like", "aten::empty_strided")


class Tape:
    """The ops of one capture."""

    def __init__(self) -> None:
        self.ops: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def replay(self) -> None:
        """Run the ops again on the tensors of the capture."""
        self.replays += 1
        with torch.inference_mode():
            for op, args, kwargs, out in self.ops:
                if op._schema.name in EMPTY:
                    continue
                for old, new in zip(tree_leaves(out), tree_leaves(op(*args, **kwargs)), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class _Recorder(TorchDispatchMode):
    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = op._schema.name
        if any(name == f"aten::{bad}" for bad in FORBIDDEN):
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        out = op(*args, **kwargs)
        self.tape.ops.append((op, args, kwargs, out))
        return out


@contextlib.contextmanager
def record(tape: Tape, pool: Any = None) -> Iterator[None]:
    """As ``torch.cuda.graph``."""
    with _Recorder(tape):
        yield
