"""Packed weights: computed once per weight, never stale.

A cached entry is keyed on the source's storage pointer, shape, strides, dtype, device and version counter, and holds
the source, so that its pointer can't be given to another tensor while the entry lives. Two kinds of change escape the
version counter, and are documented rather than guessed at: writes through `.data` or another framework's view (call
`PACKED.clear()` after one), and tensors created under `torch.inference_mode`, which have no counter and are therefore
packed on every call.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

Key = tuple[object, ...]


class PackedWeights:
    """A thread-safe LRU of packed weights."""

    def __init__(self, capacity: int = 128) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[Tensor, Tensor]] = OrderedDict()

    def get(self, tag: str, source: Tensor, pack: Callable[[Tensor], Tensor]) -> Tensor:
        """`pack(source)`, from the cache where `source` has not changed since; `tag` names the packing.

        Inside a CUDA or HIP graph capture a missing entry is packed as part of the graph and not kept: its memory would
        belong to the graph.
        """
        if source.is_inference():
            return pack(source)
        key: Key = (tag, source.data_ptr(), source.shape, source.stride(), source.dtype, source.device, source._version)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                return entry[1]
        packed = pack(source.detach())
        if source.is_cuda:
            if torch.cuda.is_current_stream_capturing():
                return packed
            torch.cuda.current_stream(source.device).synchronize()  # other streams may read it from now on
        with self._lock:
            self._entries[key] = (source, packed)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return packed

    def clear(self) -> None:
        """Forget every entry and release the sources."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


PACKED = PackedWeights()


def pack_conv(weight: Tensor) -> Tensor:
    """(N, C, k, k) -> (N, k, k, C) contiguous; a weight in channels_last memory is already that, and is not copied."""
    packed = weight.permute(0, 2, 3, 1)
    return (
        packed if packed.is_contiguous() else PACKED.get("nhwc", weight, lambda w: w.permute(0, 2, 3, 1).contiguous())
    )
