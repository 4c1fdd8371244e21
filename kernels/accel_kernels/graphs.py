"""CUDA and HIP graphs of a function, one per input shape."""

import threading
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor


class GraphCache:
    """`cache(x)` is `function(x)`, captured once per shape, dtype and device of x and replayed from then on.

    function: tensor -> tensor or tuple of tensors, without synchronisation. The results are the graph's own memory,
    overwritten by the next call of the same shape: copy what must last. Packed weights are part of the graph: after
    changing a weight in place, make a new cache.
    The least recently used of `capacity` graphs goes first. Calls are serialised. On a CPU the function just runs.
    """

    def __init__(self, function: Callable[[Tensor], Tensor | tuple[Tensor, ...]], capacity: int = 8) -> None:
        self._function, self._capacity = function, capacity
        self._lock = threading.Lock()
        self._graphs: OrderedDict[
            tuple[object, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor | tuple[Tensor, ...]]
        ] = OrderedDict()

    def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        if not x.is_cuda:
            return self._function(x)
        key = (x.shape, x.stride(), x.dtype, x.device)
        with self._lock:
            if key not in self._graphs:
                self._graphs[key] = self._capture(x)
                while len(self._graphs) > self._capacity:
                    self._graphs.popitem(last=False)
            self._graphs.move_to_end(key)
            graph, static, result = self._graphs[key]
            static.copy_(x)
            graph.replay()
            return result

    def _capture(self, x: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor | tuple[Tensor, ...]]:
        static = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device).copy_(x)
        side = torch.cuda.Stream(x.device)
        side.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(side):  # compile, pack weights and let the vendor's libraries choose before capturing
            for _ in range(2):
                self._function(static)
        torch.cuda.current_stream(x.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._function(static)
        return graph, static, result

    def __len__(self) -> int:
        return len(self._graphs)
