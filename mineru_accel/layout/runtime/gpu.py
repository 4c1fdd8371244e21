"""The network on a GPU (CUDA or HIP): fused kernels, one graph per shape and batch size, everything asynchronous.

::

    pages -> pinned memory -> GPU (own stream) -> letterbox -> network -> boxes -> pinned memory
             while the chunk before is computed  |---------- one graph ---------|   one wait a chunk

Memory is bounded: one workspace, two staging buffers, and the least recently used of many graphs goes first. Pages are
run in chunks; a GPU without enough memory gets smaller ones. Until the kernels are compiled (in the background, once
per machine), plain torch runs the network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accel_kernels.letterbox import FIELDS, letterbox
from torch import Tensor

from ...hardware.cores import usable_cores
from ..letterbox import PAD_VALUE, Letterbox
from ..network.graph import Graph
from ..network.torch_model import LayoutNetwork
from ..postprocess import MAX_DET, Detections
from .device_decode import decode_maps
from .fused_network import FusedNetwork, Program

CHUNK = 8
"""Pages a launch: enough to fill the GPU, few enough that a layer's output is still in its L2 for the next."""
GRAPHS = 96
"""Graphs kept; each is a few megabytes."""
STAGING = 128 << 20
"""Bytes of one staging buffer."""
LARGE_PAGE = 48 << 20
"""Pages of more bytes are scaled on the host."""
_COPIERS = min(8, usable_cores())
"""Threads that copy pages into pinned memory: one alone is slower than the network."""
_PATIENCE = 100
"""Runs until a capture that found no memory is tried again."""
_WARM_SHAPES = ((1.0, 0.71875), (1.0, 0.78125), (0.5, 0.03125), (1.0, 0.25))
"""Heights and widths as parts of imgsz: A4, Letter, and small ones, so that every tile size is compiled."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """One of two sets of staging memory; ``done`` is recorded when what was staged has been used."""

    pinned: Tensor
    pixels: Tensor
    places_pinned: Tensor
    places: Tensor
    found: Tensor
    """Pinned, ``(CHUNK, n, 6)``."""
    uploaded: Any = None
    done: Any = None
    pages: int = 0
    batch: int = 0
    """``pages``, filled up to a size there is a program for."""
    rows: int = 0


@dataclass(slots=True)
class _Ready:
    """A program for one shape and batch size, a graph from its second use on."""

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
        imgsz: the longest side of an input.
        dtype: of the feature maps.
        compile_in_background: False: compile the kernels before the first page instead.
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
        self._lock = threading.Lock()
        self._said_memory = False
        self._closed = False
        self._copiers = ThreadPoolExecutor(_COPIERS, thread_name_prefix="layout-copy")
        self._ready: OrderedDict[tuple[int, int, int], _Ready] = OrderedDict()
        self._compute = torch.cuda.Stream(self.device) if self._on_gpu else None
        self._upload = torch.cuda.Stream(self.device) if self._on_gpu else None
        self._canvas = torch.empty(0, dtype=torch.uint8)
        self._slots: list[_Slot] = []
        self.fused: FusedNetwork | None = None
        self.compiled = threading.Event()
        """Set once the fused kernels run (or it is known that they can't)."""
        self._plain: LayoutNetwork | None = None
        try:
            self._next: FusedNetwork | None = FusedNetwork(graph, self.device, dtype, convolution="own")
        except NotImplementedError as reason:
            log.warning("layout: %s; plain torch runs the network", reason)
            self._next = None
        if self._next is None or (compile_in_background and self._on_gpu):
            network = LayoutNetwork(graph).to(self.device, dtype)
            self._plain = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self._on_gpu:
            torch.cuda.synchronize(self.device)  # the weights are there for every stream
        if self._next is None:
            self.compiled.set()
        elif compile_in_background and self._on_gpu:
            # Python waits for it when it ends: a thread that is ended inside a compiler aborts the whole process
            threading.Thread(target=self._warm_up, name="layout-compile", daemon=False).start()
        else:
            self._warm_up()

    # Public

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
            torch.OutOfMemoryError: not even one page fits.
        """
        found: list[Detections] = []
        while len(found) < len(pages):
            with self._lock, self._on_device():
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
        with self._lock:
            self._closed = True
            self._forget()
            self.fused = self._next = self._plain = None
            self._slots = []
            self._copiers.shutdown(wait=False)
            if self._on_gpu:
                torch.cuda.empty_cache()

    def wait_compiled(self, timeout: float | None = None) -> bool:
        """Wait until the fused kernels are in use; whether they are."""
        if not self.compiled.wait(timeout):
            return False
        with self._lock:
            self._switch()
            return self.fused is not None

    # Chunks

    def _detect(self, pages: Sequence[np.ndarray], places: Sequence[Letterbox], conf: float) -> list[Detections]:
        """All pages, or those that were done before memory ran out (then it raises only if none was)."""
        self._switch()
        found: list[Detections] = []
        waiting: list[_Slot] = []
        try:
            for number, (start, stop) in enumerate(self._chunks(pages)):
                if len(waiting) == 2:
                    found += self._collect(waiting.pop(0), conf)
                slot = self._slot(number % 2)
                self._stage(slot, pages[start:stop], places[start:stop])
                self._launch(slot, places[start].shape)
                waiting.append(slot)
        except torch.OutOfMemoryError:
            while waiting:
                found += self._collect(waiting.pop(0), conf)
            if not found:
                raise
            self._shrink()
            return found
        while waiting:
            found += self._collect(waiting.pop(0), conf)
        return found

    def _chunks(self, pages: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
        start = 0
        while start < len(pages):
            stop, size = start, 0
            while stop < len(pages) and stop - start < self.chunk:
                size += pages[stop].size if pages[stop].size <= LARGE_PAGE else 3 * self.imgsz**2
                if size > STAGING and stop > start:
                    break
                stop += 1
            yield start, stop
            start = stop

    def _slot(self, number: int) -> _Slot:
        while len(self._slots) <= number:
            pin = self._on_gpu
            empty = torch.empty(0, dtype=torch.uint8)
            self._slots.append(
                _Slot(
                    empty, empty, torch.empty(self.chunk, FIELDS, dtype=torch.int64, pin_memory=pin),
                    torch.empty(self.chunk, FIELDS, dtype=torch.int64, device=self.device),
                    torch.empty(self.chunk, MAX_DET, 6, pin_memory=pin),
                )
            )  # fmt: skip
        return self._slots[number]

    def _stage(self, slot: _Slot, pages: Sequence[np.ndarray], places: Sequence[Letterbox]) -> None:
        """Copy pages into pinned memory and start their way to the GPU."""
        drawn: list[tuple[np.ndarray, tuple[int, ...]]] = []
        start = 0
        for page, place in zip(pages, places, strict=True):
            if page.size > LARGE_PAGE:
                canvas = np.empty((*place.shape, 3), np.uint8)
                place.draw(page, canvas)
                page, where = canvas, (*place.shape, *place.shape, 0, 0)
            else:
                where = (place.height, place.width, *place.inner, place.top, place.left)
            drawn.append((page, (start, *where)))
            start += -(-page.size // 16) * 16
        if slot.pinned.numel() < start:
            size = max(start, min(STAGING, 2 * slot.pinned.numel()))
            slot.pinned = torch.empty(size, dtype=torch.uint8, pin_memory=self._on_gpu)
            slot.pixels = slot.pinned if not self._on_gpu else torch.empty(size, dtype=torch.uint8, device=self.device)
        slot.pages, slot.batch = len(pages), self._padded(len(pages))
        memory = slot.pinned.numpy()

        def copy(part: tuple[np.ndarray, np.ndarray]) -> None:
            np.copyto(*part)

        wide = start > 4 << 20  # worth threads' while: a page to each, or a part of it
        pieces = -(-_COPIERS // len(drawn)) if wide else 1
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        for page, (first, *_) in drawn:
            there = memory[first : first + page.size].reshape(page.shape)
            parts += zip(np.array_split(there, pieces), np.array_split(page, pieces), strict=True)
        if wide:
            list(self._copiers.map(copy, parts))
        else:
            for part in parts:
                copy(part)
        for i in range(slot.batch):  # what fills the batch up is the first page again
            slot.places_pinned[i] = torch.tensor(drawn[i if i < len(drawn) else 0][1])
        with torch.cuda.stream(self._upload) if self._upload else nullcontext():
            if self._upload is not None and slot.done is not None:
                self._upload.wait_event(slot.done)
            if self._on_gpu:
                slot.pixels[:start].copy_(slot.pinned[:start], non_blocking=True)
            slot.places.copy_(slot.places_pinned, non_blocking=True)
            if self._upload is not None:
                slot.uploaded = self._upload.record_event()

    def _padded(self, pages: int) -> int:
        """The batch size that runs so many pages: a power of two, but never more than a chunk."""
        return min(1 << (pages - 1).bit_length(), self.chunk)

    def _launch(self, slot: _Slot, shape: tuple[int, int]) -> None:
        """Letterbox, network and decoding, and the result's way back."""
        with torch.cuda.stream(self._compute) if self._compute else nullcontext():
            if self._compute is not None:
                self._compute.wait_event(slot.uploaded)
            ready = self._program(slot.batch, shape)
            letterbox(slot.pixels, slot.places[: slot.batch], ready.images, PAD_VALUE)
            result = self._run(ready)
            slot.rows = result.shape[1]
            slot.found[: slot.batch, : slot.rows].copy_(result, non_blocking=True)
            if self._compute is not None:
                slot.done = self._compute.record_event()

    def _collect(self, slot: _Slot, conf: float) -> list[Detections]:
        """Wait for a chunk: the one synchronisation."""
        if slot.done is not None:
            slot.done.synchronize()
        result = []
        for rows in slot.found[: slot.pages, : slot.rows].numpy():
            rows = rows[(rows[:, 4] > conf) & np.isfinite(rows).all(1)]
            result.append(Detections(rows[:, :4].copy(), rows[:, 4].copy(), rows[:, 5].astype(np.int64)))
        return result

    # Programs

    def _program(self, batch: int, shape: tuple[int, int]) -> _Ready:
        key = (batch, *shape)
        ready = self._ready.get(key)
        if ready is None:
            size = batch * shape[0] * shape[1] * 3
            if self._canvas.numel() < size:
                self._forget()
                size = max(size, self.chunk * self.imgsz**2 * 3)
                self._canvas = torch.empty(size, dtype=torch.uint8, device=self.device)
            images = self._canvas[: batch * shape[0] * shape[1] * 3].view(batch, *shape, 3)
            if self.fused is not None and self.fused.workspace_bytes(batch, *shape) > self.fused.reserved_bytes:
                self._forget()
                self.fused.reserve(batch, *shape)
            ready = self._ready[key] = _Ready(images, self.fused.program(images) if self.fused else None)
            while len(self._ready) > GRAPHS:
                _, oldest = self._ready.popitem(last=False)
                if oldest.graph is not None and self._compute is not None:
                    self._compute.synchronize()  # it may still be running
        self._ready.move_to_end(key)
        ready.uses += 1
        return ready

    def _run(self, ready: _Ready) -> Tensor:
        """The network and its decoding: ``(B, n, 6)``, overwritten by the next run."""
        if ready.graph is None and self._on_gpu and ready.program is not None and ready.uses > 1:
            try:
                self._capture(ready)
            except torch.OutOfMemoryError:  # while capturing, the cache's spare memory can't be had
                ready.uses = -_PATIENCE
        if ready.graph is not None and ready.result is not None:
            ready.graph.replay()
            return ready.result
        return self._forward(ready.images, ready.program)

    def _capture(self, ready: _Ready) -> None:
        """Make a graph of it, in the memory pool of the other graphs; without memory it stays without one."""
        # A pool ends with its last graph, and its handle must not be used again: only a living graph's will do.
        pool = next((other.graph.pool() for other in self._ready.values() if other.graph is not None), None)
        graph = torch.cuda.CUDAGraph()
        # Not torch.cuda.graph(): that collects garbage and empties the cache first, a tenth of a second.
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            ready.result = self._forward(ready.images, ready.program)
        except BaseException:
            ready.result = None
            with suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
        ready.graph = graph

    def _forward(self, images: Tensor, program: Program | None) -> Tensor:
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
        """Compile what any page will need, then let the fused network take over."""
        network = self._next
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
                            if not self._compile(network.program(images)):
                                return
                    places = torch.tensor([[0, 2, 2, 4, 4, 0, 0]], device=self.device)
                    letterbox(images[:1, :2, :2].flatten(), places, images[:1].clone(), PAD_VALUE)
                    torch.cuda.current_stream().synchronize()
            log.info("layout: kernels ready after %.1f s", time.perf_counter() - began)
        except Exception as error:
            if self._plain is None:
                raise
            if not self._closed:
                log.warning("layout: plain torch runs the network, its kernels can't: %s", error)
                self._next = None
        finally:
            self.compiled.set()

    def _compile(self, program: Program) -> bool:
        """Run each kernel once; False if nobody waits for that any longer, at the latest after the kernel at hand."""
        for launch in program.launches:
            if self._closed or not threading.main_thread().is_alive():
                return False
            launch()
        decode_maps(program.levels, self.strides)
        return True

    def _switch(self) -> None:
        """Use the fused network once it is compiled."""
        if self.fused is None and self._next is not None and self.compiled.is_set():
            self._forget()
            self.fused, self._next, self._plain = self._next, None, None
            if self._on_gpu:
                torch.cuda.empty_cache()

    # Memory

    def _shrink(self) -> bool:
        """Run smaller chunks from now on; False if they can't be smaller."""
        if self.chunk == 1:
            return False
        self.chunk //= 2
        self._forget()
        self._slots = []
        self._canvas = torch.empty(0, dtype=torch.uint8)
        if self.fused is not None:
            self.fused.release()
        if self._on_gpu:
            torch.cuda.empty_cache()
        if not self._said_memory:
            self._said_memory = True
            log.warning("layout: the GPU is short of memory, going on with %d pages at a time", self.chunk)
        return True

    def _forget(self) -> None:
        """Drop programs and graphs, when nothing runs any more."""
        if self._compute is not None:
            self._compute.synchronize()
        self._ready.clear()

    def _on_device(self) -> Any:
        return torch.cuda.device(self.device) if self._on_gpu else nullcontext()
