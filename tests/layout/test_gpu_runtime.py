"""The GPU's runtime on a CPU: everything around the kernels, and graphs by a stand-in with torch's rules for pools."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import weakref
from typing import ClassVar

import numpy as np
import pytest
from common import PATIENCE

torch = pytest.importorskip("torch")

from mineru_accel.layout.checkpoint import load_checkpoint  # noqa: E402
from mineru_accel.layout.letterbox import Letterbox  # noqa: E402
from mineru_accel.layout.network.architecture import build_graph  # noqa: E402
from mineru_accel.layout.network.torch_model import LayoutNetwork  # noqa: E402
from mineru_accel.layout.postprocess import decode, iou_matrix  # noqa: E402
from mineru_accel.layout.runtime import gpu, staging  # noqa: E402 - needs torch
from mineru_accel.layout.runtime.device_decode import decode_maps  # noqa: E402
from mineru_accel.layout.runtime.fused_network import FusedNetwork  # noqa: E402
from mineru_accel.layout.runtime.gpu import GpuRuntime  # noqa: E402
from mineru_accel.layout.runtime.torch import TorchRuntime  # noqa: E402

CONF = 0.1
IMGSZ = 128


@pytest.fixture(scope="module")
def graph(small_model):
    return build_graph(load_checkpoint(small_model.pt))


@pytest.fixture
def runtime(graph):
    runtime = GpuRuntime(graph, "cpu", IMGSZ, dtype=torch.float32, chunk=4)
    yield runtime
    runtime.close()


def batch(pages, n: int = 7) -> tuple[list[np.ndarray], list[Letterbox]]:
    """Pages of several sizes that share a canvas."""
    source = pages[0]
    images = [source[: 240 - i : 2 if i % 3 else 1, : 170 - i : 2 if i % 3 else 1] for i in range(n)]
    places = [Letterbox.fit(*image.shape[:2], IMGSZ) for image in images]
    assert len({p.shape for p in places}) == 1 and len({p.inner for p in places} | {(0, 0)}) > 1
    return images, places


def assert_same(found, wanted, pixels=0.05, score=1e-3):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.classes.tolist() == b.classes.tolist()
        np.testing.assert_allclose(a.boxes, b.boxes, atol=pixels)
        np.testing.assert_allclose(a.scores, b.scores, atol=score)


@pytest.mark.parametrize("scale", ["n", "m"])
@pytest.mark.parametrize("shape", [(1, 32, 96), (3, 128, 96)])
def test_fused_network(make_model, scale, shape):
    """Against the plain network; the workspace starts as NaN, so that a map nobody wrote can't be read."""
    graph = build_graph(load_checkpoint(make_model(scale).pt))
    images = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    block_bytes = 1 << 16 if scale == "n" else 0
    network = FusedNetwork(graph, torch.device("cpu"), torch.float32, block_bytes=block_bytes)
    network.reserve(*shape)
    network.workspace.fill_(0xFF)
    with torch.inference_mode():
        program = network.program(images)
        program.run()
        first = program.maps()
        program.run()
        again = program.maps()
        wanted = LayoutNetwork(graph)(images)
    for a, b, c in zip(first, again, wanted, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a.transpose(1, 2), c, atol=2e-4, rtol=1e-4)


def test_maps_alive_together_do_not_overlap(graph):
    network = FusedNetwork(graph, torch.device("cpu"), torch.float16)
    offsets, size = network.layout(2, 128, 96)
    low = network.lowered
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, step in enumerate(network.steps):
        for value in (step.output, *step.inputs):
            root = low.root(value)[0]
            first.setdefault(root, i)
            last[root] = i
    for level in graph.levels:
        last |= {low.root(v)[0]: len(network.steps) for v in (level.box, level.cls)}
    spans = []
    for root, offset in offsets.items():
        spec = low.values[root]
        length = 2 * (128 // spec.scale) * (96 // spec.scale) * spec.channels * spec.dtype.itemsize
        assert offset % 256 == 0 and offset + length <= size
        spans.append((offset, offset + length, first[root], last[root]))
    for i, (a0, a1, b0, d0) in enumerate(spans):
        for c0, c1, b1, d1 in spans[:i]:
            assert a1 <= c0 or c1 <= a0 or d0 < b1 or d1 < b0
    assert size < sum(end - start for start, end, _, _ in spans) / 3


@pytest.mark.parametrize(("reg_max", "nc"), [(16, 10), (1, 3), (16, 1)])
def test_decoding_where_the_maps_are(reg_max, nc):
    """As on the host, with raw maps that hold NaN."""
    rng = np.random.default_rng(5)
    sizes, strides = [(12, 8), (6, 4), (3, 2)], (8, 16, 32)
    boxes = [rng.normal(0, 2, (2, h, w, 4 * reg_max)).astype(np.float32) for h, w in sizes]
    logits = [rng.normal(0, 2, (2, h, w, nc)).astype(np.float32) for h, w in sizes]
    logits[0][0, 3, 3] = np.nan
    boxes[0][1, :, 2] = np.nan
    levels = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(boxes, logits, strict=True)]
    rows = decode_maps(levels, strides, max_det=40).numpy()
    assert rows.shape == (2, 40, 6)
    for page in range(2):
        raw = [np.concatenate([m[page].reshape(-1, m.shape[3]) for m in maps]).T for maps in (boxes, logits)]
        wanted = decode(*raw, (96, 64), strides, 0.6, max_det=40)
        kept = rows[page][(rows[page][:, 4] > 0.6) & np.isfinite(rows[page]).all(1)]
        assert len(wanted) > 10
        assert kept[:, 5].tolist() == wanted.classes.tolist()
        np.testing.assert_allclose(kept[:, 4], wanted.scores, atol=1e-6)
        np.testing.assert_allclose(kept[:, :4], wanted.boxes, atol=1e-3)


def share_found(wanted, found) -> float:
    """Of the boxes well over the threshold: those that are found again, same class, IoU over 0.9."""
    hits = total = 0
    for a, b in zip(wanted, found, strict=True):
        good = a.take(a.scores > CONF + 0.1)
        overlap = iou_matrix(np.concatenate([good.boxes, b.boxes]))[: len(good), len(good) :]
        hits += int(((overlap > 0.9) & (good.classes[:, None] == b.classes[None])).any(1).sum())
        total += len(good)
    assert total > 5 * len(wanted)
    return hits / total


def test_same_boxes_as_plain_torch(graph, runtime, pages):
    images = [pages[0][i : 128 + i, : 90 - i] for i in range(5)]  # not scaled
    places = [Letterbox.fit(*image.shape[:2], IMGSZ) for image in images]
    plain = TorchRuntime(graph, "cpu")
    wanted = plain.detect(images, places, CONF)
    assert sum(map(len, wanted)) > len(images)
    assert share_found(wanted, runtime.detect(images, places, CONF)) == 1
    images, places = batch(pages)  # scaled: a level's difference in a pixel, which random weights amplify
    assert share_found(plain.detect(images, places, CONF), runtime.detect(images, places, CONF)) > 0.9


def test_company_order_and_chunks_do_not_matter(runtime, pages):
    images, places = batch(pages)
    together = runtime.detect(images, places, CONF)
    assert_same([runtime.detect([i], [p], CONF)[0] for i, p in zip(images, places, strict=True)], together, 1e-2, 1e-4)
    runtime.chunk = 3
    assert_same(runtime.detect(images[::-1], places[::-1], CONF)[::-1], together, 1e-2, 1e-4)
    runtime.chunk = 4


def test_huge_pages_are_scaled_on_the_host(runtime, pages, monkeypatch):
    images, places = batch(pages)
    wanted = runtime.detect(images, places, CONF)
    monkeypatch.setattr(staging, "LARGE_PAGE", 30_000)
    monkeypatch.setattr(staging, "BUFFER", 200_000)
    assert share_found(wanted, runtime.detect(images, places, CONF)) > 0.9
    assert all(slot.pinned.numel() <= 2 * 200_000 for slot in runtime.staging.slots)


def test_threads(runtime, pages):
    images, places = batch(pages, 5)
    wanted = runtime.detect(images, places, CONF)
    found: list = [None] * 6

    def work(i: int) -> None:
        found[i] = runtime.detect(images, places, CONF)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for each in found:
        assert_same(each, wanted, 0, 0)


def test_too_little_memory(runtime, pages, monkeypatch, caplog):
    images, places = batch(pages)
    wanted = runtime.detect(images, places, CONF)
    limit = 2
    launch = GpuRuntime.launch

    def scarce(self, slot, shape):
        if slot.batch > limit:
            raise torch.OutOfMemoryError("no memory")
        launch(self, slot, shape)

    monkeypatch.setattr(GpuRuntime, "launch", scarce)
    with caplog.at_level(logging.WARNING):
        assert_same(runtime.detect(images, places, CONF), wanted, 1e-2, 1e-4)
        limit = 1
        assert_same(runtime.detect(images, places, CONF), wanted, 1e-2, 1e-4)
    assert runtime.chunk == 1
    assert sum("short of memory" in r.message for r in caplog.records) == 1
    limit = 0
    with pytest.raises(torch.OutOfMemoryError):
        runtime.detect(images, places, CONF)


def test_closed(runtime, pages):
    images, places = batch(pages, 1)
    runtime.close()
    runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        runtime.detect(images, places, CONF)


class Graph:
    """As torch.cuda.CUDAGraph: a pool lives as long as one of its graphs, and a dead one's handle is an error."""

    pools: ClassVar[dict[int, weakref.WeakSet]] = {}
    captured = 0

    def capture_begin(self, pool=None, capture_error_mode="global"):
        assert capture_error_mode == "thread_local"
        if pool is None:
            pool = len(Graph.pools)
            Graph.pools[pool] = weakref.WeakSet()
        else:
            assert len(Graph.pools[pool]) > 0, "use_count > 0 INTERNAL ASSERT FAILED"
        self.handle = pool
        Graph.pools[pool].add(self)

    def capture_end(self):
        Graph.captured += 1

    def pool(self):
        return self.handle

    def replay(self):
        """The result is that of the capture: the tests run the same page again."""


@pytest.fixture
def graphs(runtime, monkeypatch):
    """The runtime, made to believe that it captures."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(Graph, "pools", {})
    monkeypatch.setattr(Graph, "captured", 0)
    runtime.use_graphs = True
    monkeypatch.setattr(gpu, "GRAPHS", 3)
    return runtime


def test_graphs_come_and_go(graphs, pages):
    """More shapes than are kept, ever larger ones among them, and fresh ones that push out all that have graphs."""
    for side in (32, 64, 96, 64):
        for other in (32, 64, 96):
            image = np.ascontiguousarray(pages[4][:side, :other])
            place = Letterbox(side, other, (side, other), (side, other), 0, 0)
            calls = 1 if side == 96 else 2
            found = [graphs.detect([image], [place], CONF)[0] for _ in range(calls)]
            assert_same(found[1:], found[:1] * (calls - 1), 0, 0)
            assert len(graphs.programs) <= 3
    assert Graph.captured == 9
    assert sum(len(alive) > 0 for alive in Graph.pools.values()) == 1, "all graphs share a pool"


def test_a_capture_without_memory(graphs, pages, monkeypatch):
    images, places = batch(pages, 1)
    wanted = graphs.detect(images, places, CONF)
    original = gpu.decode_maps
    failures = []

    def scarce(levels, strides):
        if Graph.capturing:
            failures.append(1)
            raise torch.OutOfMemoryError("no memory")
        return original(levels, strides)

    monkeypatch.setattr(Graph, "capturing", False, raising=False)
    begin = Graph.capture_begin

    def capture_begin(self, **options):
        begin(self, **options)
        Graph.capturing = True

    def capture_end(self):
        Graph.capturing = False
        raise RuntimeError("the capture is broken")

    monkeypatch.setattr(Graph, "capture_begin", capture_begin)
    monkeypatch.setattr(Graph, "capture_end", capture_end)
    monkeypatch.setattr(gpu, "decode_maps", scarce)
    for _ in range(5):
        assert_same(graphs.detect(images, places, CONF), wanted, 0, 0)
    assert len(failures) == 1 and graphs.chunk == 4


@pytest.mark.parametrize("ends", ["runtime", "process"])
def test_compiling_ends_with_the_kernel_at_hand(ends):
    """A thread that Python ends inside a compiler aborts the process ("FATAL: exception not rethrown"): it is waited
    for, but not until all kernels are there."""
    code = """
import threading
from mineru_accel.layout.runtime.gpu import compile_kernels

launched, closed = [], threading.Event()

def launch():
    launched.append(1)
    if len(launched) == 3 and ENDS == "runtime":
        closed.set()
    elif len(launched) == 3:
        threading.main_thread().join()

def compile_all():
    print(compile_kernels([launch] * 300, closed.is_set), len(launched), flush=True)

threading.Thread(target=compile_all).start()
""".replace("ENDS", repr(ends))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    finished, kernels = ran.stdout.split()
    assert (ran.returncode, finished, ran.stderr) == (0, "False", "")
    assert int(kernels) == 3
