"""The layout runtime on a real GPU: the same boxes in half precision, in any batch, at any size, in bounded memory."""

import logging
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
WEIGHTS = Path(__file__).parents[2] / "mineru_accel/layout/weights/doclayout-yolo-n-1024.safetensors"


@pytest.fixture(scope="module")
def graph():
    from mineru_accel.layout.checkpoint import load_checkpoint
    from mineru_accel.layout.network.architecture import build_graph

    return build_graph(load_checkpoint(WEIGHTS))


@pytest.fixture(scope="module")
def detector():
    from mineru_accel.layout.detector import DocLayoutYolo

    detector = DocLayoutYolo(WEIGHTS, device="cuda")
    assert detector.runtime.wait_compiled(300)
    yield detector
    detector.close()


def page(height: int, width: int, seed: int) -> np.ndarray:
    """Lines of "text" in two columns under a title, a "figure" and a ruled "table"."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 255, np.uint8)
    line = max(2, height // 110)

    def words(y: int, x0: int, x1: int) -> None:
        x = x0
        while x < x1:
            end = min(x1, x + int(rng.integers(line, 6 * line)))
            image[y : y + line, x:end] = rng.integers(0, 90)
            x = end + line

    words(height // 20, width // 4, 3 * width // 4)
    for x0, x1 in ((width // 12, width * 11 // 24), (width * 13 // 24, width * 11 // 12)):
        y = height // 8
        while y < height * 9 // 10:
            kind = rng.integers(0, 12)
            if kind == 0 and y + height // 6 < height * 9 // 10:
                image[y : y + height // 7, x0:x1] = rng.integers(60, 255, 3)
                y += height // 6
            elif kind == 1:
                y += 4 * line
            else:
                words(y, x0, x1)
                y += 2 * line
    return image


def pages(n: int, side: int = 1024) -> list[np.ndarray]:
    return [page(side, round(side / 2**0.5) - 8 * (i % 3), i) for i in range(n)]


def matched(wanted, found, score: float = 0.3, iou: float = 0.95) -> tuple[int, int]:
    from mineru_accel.layout.postprocess import iou_matrix

    keep = wanted.scores > score
    n = len(wanted)
    overlap = iou_matrix(np.concatenate([wanted.boxes, found.boxes]))[:n, n:]
    same = wanted.classes[:, None] == found.classes[None]
    return int((((overlap > iou) & same).any(1) & keep).sum()), int(keep.sum())


def test_maps_of_the_fused_network(graph):
    """fp16 kernels against float32 torch: no worse than plain fp16."""
    from mineru_accel.layout.network.torch_model import LayoutNetwork
    from mineru_accel.layout.runtime.fused_network import FusedNetwork

    images = torch.from_numpy(np.stack([page(1024, 736, i) for i in range(3)])).cuda()
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        wanted = LayoutNetwork(graph).cuda()(images)
        plain = LayoutNetwork(graph).half().to(memory_format=torch.channels_last).cuda()(images)
    network = FusedNetwork(graph, torch.device("cuda"), torch.float16)
    with torch.inference_mode():
        program = network.program(images)
        program.run()
        got = program.maps()
        program.run()
        again = program.maps()
    for a, b, c, p in zip(wanted, got, again, plain, strict=True):
        assert torch.equal(b, c), "results move: a race"
        error, usual = ((t.double() - a.double()).square().mean().sqrt() / a.std() for t in (b.transpose(1, 2), p))
        assert error <= 2 * usual + 1e-3, f"{error:.2e} against {usual:.2e}"


def test_boxes_of_float32(detector, graph):
    from mineru_accel.layout.detector import DocLayoutYolo

    exact = DocLayoutYolo(WEIGHTS, device="cuda", precision="fp32")
    with torch.backends.cudnn.flags(allow_tf32=False):
        wanted = exact.detect_raw(pages(24))
    counts = [matched(a, b) for a, b in zip(wanted, detector.detect_raw(pages(24)), strict=True)]
    hits, total = (sum(c) for c in zip(*counts, strict=True))
    assert total > 24
    assert hits >= 0.995 * total, f"{hits} of {total}"


def test_company_does_not_matter(detector):
    batch = [*pages(7), page(400, 900, 3), *pages(13)[7:]]
    together = detector.detect_raw(batch)
    for image, there in zip(batch, together, strict=True):
        (alone,) = detector.detect_raw([image])
        assert len(alone) == len(there)
        np.testing.assert_array_equal(alone.classes, there.classes)
        np.testing.assert_allclose(alone.boxes, there.boxes, atol=0.5)
        np.testing.assert_allclose(alone.scores, there.scores, atol=2e-3)


def test_graph_and_first_call_agree(detector):
    images = [page(1024, 992, i) for i in range(2)]
    first = detector.detect_raw(images)
    for _ in range(3):  # captured the second time, replayed the third
        for a, b in zip(first, detector.detect_raw(images), strict=True):
            np.testing.assert_array_equal(a.boxes, b.boxes)
            np.testing.assert_array_equal(a.scores, b.scores)


@pytest.mark.parametrize("size", [(2339, 1654), (1024, 724), (500, 333), (31, 700), (1, 1), (5000, 3600)])
def test_letterbox_of_the_host(size):
    from accel_kernels.letterbox import letterbox

    from mineru_accel.layout.letterbox import Letterbox

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    place = Letterbox.fit(*size, 1024)
    wanted = np.empty((*place.shape, 3), np.uint8)
    place.draw(image, wanted)
    canvas = torch.empty(1, *place.shape, 3, dtype=torch.uint8, device="cuda")
    where = torch.tensor([[0, *size, *place.inner, place.top, place.left]], device="cuda")
    letterbox(torch.from_numpy(image).flatten().cuda(), where, canvas)
    assert np.abs(canvas[0].cpu().numpy().astype(int) - wanted).max() <= 1


def test_unseen_sizes_are_quick(detector):
    rng = random.Random(1)
    times = []
    for i in range(25):
        image = page(rng.randint(200, 2500), rng.randint(200, 2500), i)
        began = time.perf_counter()
        detector.detect([image])
        times.append(time.perf_counter() - began)
    assert max(times) < 0.1, f"seed 1: {[round(1e3 * t) for t in times]}"


def test_a_new_size_plans_nothing(detector):
    """cuDNN's convolutions and attention take milliseconds each for a shape they have not seen."""
    detector.runtime.drop_programs()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        detector.detect([page(1999, 333, 1)])
    names = {event.key for event in profile.key_averages()}
    assert "accel_kernels::conv2d" in names and not [name for name in names if "cudnn" in name]


def test_memory_of_a_thousand_sizes(detector):
    rng = random.Random(2)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    blank = np.full((1500, 1500, 3), 255, np.uint8)
    for _ in range(20):
        detector.detect([blank[: rng.randint(100, 1500), : rng.randint(100, 1500)] for _ in range(50)])
    assert torch.cuda.max_memory_reserved() < 4 << 30, "seed 2"


def test_threads(detector):
    images = pages(5)
    wanted = detector.detect(images)
    found: list = [None] * 8

    def work(i: int) -> None:
        found[i] = detector.detect(images)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(f == wanted for f in found)


def test_out_of_memory_halves_the_batch_and_says_so_once(caplog):
    """Another tenant takes nearly everything."""
    from mineru_accel.layout.detector import DocLayoutYolo

    detector = DocLayoutYolo(WEIGHTS, device="cuda")
    detector.runtime.wait_compiled(300)
    wanted = detector.detect(pages(16))
    detector.runtime.release_memory()  # so that it must be taken again
    limit = detector.runtime.fused.workspace_bytes(3, 1024, 736) + (96 << 20)
    taken = torch.cuda.memory_reserved()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((taken + limit) / total)
    try:
        with caplog.at_level(logging.WARNING):
            found = detector.detect(pages(16))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert detector.runtime.chunk < 8
    assert sum("short of memory" in r.message for r in caplog.records) == 1
    assert [[r.label for r in p] for p in found] == [[r.label for r in p] for p in wanted]
    detector.close()
