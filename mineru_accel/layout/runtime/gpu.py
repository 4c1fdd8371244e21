"""The network on a GPU (CUDA or HIP): fused kernels, one graph per shape and batch size, everything asynchronous.

::

    pages -> pinned memory -> GPU (own stream) -> letterbox -> network -> boxes -> pinned memory
             while the chunk before is computed  |---------- one graph ---------|   one wait a chunk

Memory is bounded: one workspace, two slots of pages, and a limited number of graphs, the least recently used going
first. Pages run in chunks; a GPU without enough memory gets smaller ones. Until the kernels are compiled (in the
background, once per machine), plain torch runs the network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accel_kernels.letterbox import letterbox
from torch import Tensor

from ..letterbox import PAD_VALUE, Letterbox
from ..network.graph import Graph
from ..network.torch_model import LayoutNetwork
from ..postprocess import Detections
from .device_decode import decode_maps
from .fused_network import FusedNetwork, Program
from .staging import Slot, Staging

CHUNK = 8
"""Pages in a launch: enough to fill the GPU, few enough that a layer's output is still in the L2 cache for the next."""
GRAPHS = 96
"""Maximum number of graphs; each is a few megabytes."""
_RUNS_WITHOUT_GRAPH = 100
"""Runs after a capture that found no memory, before it is tried again."""
_WARM_SHAPES = ((1.0, 0.71875), (1.0, 0.78125), (0.5, 0.03125), (1.0, 0.25))
"""Heights and widths as fractions of imgsz: A4, Letter, and small ones, so that every tile size is compiled."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BatchProgram:
    """A program for one shape and batch size; from its second use on it is a CUDA graph."""

    images: Tensor
    program: Program | None
    result: Tensor | None = None
    graph: Any = None
    uses: int = 0


class GpuRuntime:
    """See :class:`mineru_accel.layout.runtime.base.Runtime`; ``detect`` may be called from several threads.

    Args:
        graph: the network.
        device: a torch device; also ``cpu``, for tests of everything around the kernels.
        imgsz: longest side of the network's input.
        dtype: of the feature maps.
        chunk: maximum pages in a launch.
        compile_in_background: whether pages run in plain torch until the kernels are compiled, or wait for that.
    """

    max_batch = 64

    def __init__(
        self,
        graph: Graph,
        device: str,
        imgsz: int,
        *,
        dtype: torch.dtype = torch.float16,
        chunk: int = CHUNK,
        compile_in_background: bool = True,
    ) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        self.imgsz = imgsz
        self.dtype = dtype
        self.chunk = chunk
        self.strides = tuple(level.stride for level in graph.levels)
        self.name = f"torch:{device} {str(dtype).removeprefix('torch.').replace('float', 'fp')}"
        self._on_gpu = self.device.type == "cuda"
        self.lock = threading.Lock()
        """Held by whoever uses what follows."""
        self._memory_warned = False
        self._closed = False
        self.programs: OrderedDict[tuple[int, int, int], BatchProgram] = OrderedDict()
        """By batch size, height and width; the least recently used first."""
        self.use_graphs = self._on_gpu
        """Whether a program becomes a CUDA graph at its second use."""
        self.compute = torch.cuda.Stream(self.device) if self._on_gpu else None
        """Stream of letterbox, network and decoding."""
        self.staging = Staging(self.device, imgsz)
        self._canvas = torch.empty(0, dtype=torch.uint8)
        self.fused: FusedNetwork | None = None
        self.compiled = threading.Event()
        """Set once the fused kernels are compiled, or it is known that they can't be."""
        self._plain: LayoutNetwork | None = None
        try:
            self._compiling: FusedNetwork | None = FusedNetwork(graph, self.device, dtype, convolution="own")
        except NotImplementedError as reason:
            log.warning("layout: %s; plain torch runs the network", reason)
            self._compiling = None
        if self._compiling is None or (compile_in_background and self._on_gpu):
            network = LayoutNetwork(graph).to(self.device, dtype)
            self._plain = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self._on_gpu:
            torch.cuda.synchronize(self.device)  # streams see the weights
        if self._compiling is None:
            self.compiled.set()
        elif compile_in_background and self._on_gpu:
            # not a daemon, so that Python waits for it: a thread that is ended inside a compiler aborts the process
            threading.Thread(target=self._warm_up, name="layout-compile", daemon=False).start()
        else:
            self._warm_up()

    @torch.inference_mode()
    def detect(self, pages: Sequence[np.ndarray], places: Sequence[Letterbox], conf: float) -> list[Detections]:
        """Find boxes on pages of one canvas shape.

        Args:
            pages: ``(H, W, 3) uint8`` each.
            places: where each lies on its canvas; all canvases of one shape.
            conf: scores must be above this.

        Returns:
            One for each page, boxes in pixels of the canvas.

        Raises:
            RuntimeError: if it is closed.
            torch.OutOfMemoryError: if not even one page fits.
        """
        found: list[Detections] = []
        while len(found) < len(pages):
            with self.lock, self._on_device():
                if self._closed:
                    raise RuntimeError("the layout detector is closed")
                try:
                    found += self._detect(pages[len(found) :], places[len(found) :], conf)
                except torch.OutOfMemoryError:
                    if not self._shrink():
                        raise
        return found

    def close(self) -> None:
        """Free the weights and buffers."""
        with self.lock:
            self._closed = True
            self.drop_programs()
            self.fused = self._compiling = self._plain = None
            self.staging.close()
            if self._on_gpu:
                torch.cuda.empty_cache()

    def wait_compiled(self, timeout: float | None = None) -> bool:
        """Wait until the fused kernels are compiled.

        Returns:
            Whether they are used from now on.
        """
        if not self.compiled.wait(timeout):
            return False
        with self.lock:
            self._switch()
            return self.fused is not None

    def _detect(self, pages: Sequence[np.ndarray], places: Sequence[Letterbox], conf: float) -> list[Detections]:
        """Boxes of all pages, or of those that were done when memory ran out; raises only if none was."""
        self._switch()
        found: list[Detections] = []
        waiting: list[Slot] = []
        try:
            for number, (start, stop) in enumerate(self.staging.chunks(pages, self.chunk)):
                if len(waiting) == 2:
                    found += self.collect(waiting.pop(0), conf)
                slot = self.staging.slot(number % 2, self.chunk)
                self.staging.upload(slot, pages[start:stop], places[start:stop], self._padded(stop - start))
                self.launch(slot, places[start].shape)
                waiting.append(slot)
        except torch.OutOfMemoryError:
            while waiting:
                found += self.collect(waiting.pop(0), conf)
            if not found:
                raise
            self._shrink()
            return found
        while waiting:
            found += self.collect(waiting.pop(0), conf)
        return found

    def _padded(self, pages: int) -> int:
        """The batch size for a number of pages: the next power of two, but no more than a chunk."""
        return min(1 << (pages - 1).bit_length(), self.chunk)

    def launch(self, slot: Slot, shape: tuple[int, int]) -> None:
        """Start letterbox, network and decoding, and the boxes' copy to the host."""
        with torch.cuda.stream(self.compute) if self.compute else nullcontext():
            if self.compute is not None:
                self.compute.wait_event(slot.uploaded)
            entry = self._program(slot.batch, shape)
            letterbox(slot.pixels, slot.places[: slot.batch], entry.images, PAD_VALUE)
            result = self.run(entry)
            slot.rows = result.shape[1]
            slot.found[: slot.batch, : slot.rows].copy_(result, non_blocking=True)
            if self.compute is not None:
                slot.done = self.compute.record_event()

    def collect(self, slot: Slot, conf: float) -> list[Detections]:
        """Wait for a chunk (the only synchronisation) and take the boxes above ``conf``."""
        if slot.done is not None:
            slot.done.synchronize()
        result = []
        for rows in slot.found[: slot.pages, : slot.rows].numpy():
            rows = rows[(rows[:, 4] > conf) & np.isfinite(rows).all(1)]
            result.append(Detections(rows[:, :4].copy(), rows[:, 4].copy(), rows[:, 5].astype(np.int64)))
        return result

    def _program(self, batch: int, shape: tuple[int, int]) -> BatchProgram:
        """The program for a batch of this shape, made if it is new."""
        key = (batch, *shape)
        entry = self.programs.get(key)
        if entry is None:
            size = batch * shape[0] * shape[1] * 3
            if self._canvas.numel() < size:
                self.drop_programs()
                size = max(size, self.chunk * self.imgsz**2 * 3)
                self._canvas = torch.empty(size, dtype=torch.uint8, device=self.device)
            images = self._canvas[: batch * shape[0] * shape[1] * 3].view(batch, *shape, 3)
            if self.fused is not None and self.fused.workspace_bytes(batch, *shape) > self.fused.reserved_bytes:
                self.drop_programs()
                self.fused.reserve(batch, *shape)
            entry = self.programs[key] = BatchProgram(images, self.fused.program(images) if self.fused else None)
            while len(self.programs) > GRAPHS:
                _, oldest = self.programs.popitem(last=False)
                if oldest.graph is not None and self.compute is not None:
                    self.compute.synchronize()  # it may still be running
        self.programs.move_to_end(key)
        entry.uses += 1
        return entry

    def run(self, entry: BatchProgram) -> Tensor:
        """Run the network and its decoding.

        Returns:
            ``(B, n, 6)``, see :func:`.device_decode.decode_maps`; overwritten by the next run.
        """
        if entry.graph is None and self.use_graphs and entry.program is not None and entry.uses > 1:
            try:
                self._capture(entry)
            except torch.OutOfMemoryError:  # while capturing, the cache's spare memory can't be had
                entry.uses = -_RUNS_WITHOUT_GRAPH
        if entry.graph is not None and entry.result is not None:
            entry.graph.replay()
            return entry.result
        return self._forward(entry.images, entry.program)

    def _capture(self, entry: BatchProgram) -> None:
        """Capture a program as a CUDA graph, in the memory pool of the other graphs.

        Raises:
            torch.OutOfMemoryError: if there is no memory for it; then it has no graph.
        """
        # A pool ends with its last graph, after which its handle is an error: take it from a living graph.
        pool = next((other.graph.pool() for other in self.programs.values() if other.graph is not None), None)
        graph = torch.cuda.CUDAGraph()
        # Not torch.cuda.graph(): it collects garbage and empties the cache first, which takes a tenth of a second.
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            entry.result = self._forward(entry.images, entry.program)
        except BaseException:
            entry.result = None
            with suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
        entry.graph = graph

    def _forward(self, images: Tensor, program: Program | None) -> Tensor:
        """The network without a graph: fused, or in plain torch where there is no program."""
        if program is not None:
            program.run()
            return decode_maps(program.levels, self.strides)
        assert self._plain is not None
        boxes, logits = self._plain(images)  # (B, 4 * reg_max, A), (B, nc, A)
        _, height, width, _ = images.shape
        sizes = [(height // s, width // s) for s in self.strides]
        parts = [
            [t.unflatten(2, size).permute(0, 2, 3, 1) for t, size in zip(
                maps.split([h * w for h, w in sizes], 2), sizes, strict=True
            )]
            for maps in (boxes, logits)
        ]  # fmt: skip
        return decode_maps(list(zip(*parts, strict=True)), self.strides)

    @torch.inference_mode()
    def _warm_up(self) -> None:
        """Compile the kernels that any page may need."""
        network = self._compiling
        assert network is not None
        began = time.perf_counter()
        try:
            with self._on_device(), torch.cuda.stream(torch.cuda.Stream()) if self._on_gpu else nullcontext():
                if self._on_gpu:
                    stride = max(self.strides)
                    sides = [
                        tuple(max(stride, round(part * self.imgsz / stride) * stride) for part in shape)
                        for shape in _WARM_SHAPES
                    ]
                    batches = [1 << i for i in range(self.chunk.bit_length()) if 1 << i <= self.chunk]
                    for height, width in sides:
                        for batch in batches:
                            images = torch.full(
                                (batch, height, width, 3), PAD_VALUE, dtype=torch.uint8, device=self.device
                            )
                            program = network.program(images)
                            if not compile_kernels(program.launches, lambda: self._closed):
                                return
                            decode_maps(program.levels, self.strides)
                    places = torch.tensor([[0, 2, 2, 4, 4, 0, 0]], device=self.device)
                    letterbox(images[:1, :2, :2].flatten(), places, images[:1].clone(), PAD_VALUE)
                    torch.cuda.current_stream().synchronize()
            log.info("layout: kernels ready after %.1f s", time.perf_counter() - began)
        except Exception as error:
            if self._plain is None:
                raise
            if not self._closed:
                log.warning("layout: plain torch runs the network, its kernels can't: %s", error)
                self._compiling = None
        finally:
            self.compiled.set()

    def _switch(self) -> None:
        """Use the fused network instead of plain torch once it is compiled."""
        if self.fused is None and self._compiling is not None and self.compiled.is_set():
            self.drop_programs()
            self.fused, self._compiling, self._plain = self._compiling, None, None
            if self._on_gpu:
                torch.cuda.empty_cache()

    def _shrink(self) -> bool:
        """Run smaller chunks from now on.

        Returns:
            False if they can't be smaller.
        """
        if self.chunk == 1:
            return False
        self.chunk //= 2
        self.release_memory()
        if not self._memory_warned:
            self._memory_warned = True
            log.warning("layout: the GPU is short of memory, going on with %d pages at a time", self.chunk)
        return True

    def release_memory(self) -> None:
        """Free the programs, the workspace and the memory of pages: the next pages take what they need."""
        self.drop_programs()
        self.staging.slots = []
        self._canvas = torch.empty(0, dtype=torch.uint8)
        if self.fused is not None:
            self.fused.release()
        if self._on_gpu:
            torch.cuda.empty_cache()

    def drop_programs(self) -> None:
        """Wait until nothing runs, then drop all programs and graphs."""
        if self.compute is not None:
            self.compute.synchronize()
        self.programs.clear()

    def _on_device(self) -> Any:
        """A context in which this runtime's GPU is the current one."""
        return torch.cuda.device(self.device) if self._on_gpu else nullcontext()


def compile_kernels(launches: Iterable[Callable[[], object]], is_closed: Callable[[], bool]) -> bool:
    """Compile kernels by launching each once.

    Returns:
        False if ``is_closed`` or Python's main thread ends meanwhile: then after the kernel at hand.
    """
    for launch in launches:
        if is_closed() or not threading.main_thread().is_alive():
            return False
        launch()
    return True
