"""Parts of ``bench layout`` that run whole pages through the GPU runtime: speed, memory and boxes."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .page_measures import matching_boxes, median_seconds

if TYPE_CHECKING:
    import random

    import numpy as np

    from ...layout.postprocess import Detections
    from .benchmark import LayoutBenchmark


def pages(bench: LayoutBenchmark) -> None:
    """Pages/s from decoded pages to boxes on the host, and the share of each stage."""
    from ...layout.letterbox import Letterbox

    side = bench.args.imgsz
    small = [bench.model.page(side, round(side / 2**0.5), i) for i in range(64)]
    large = [bench.model.page(2339, 1654, i) for i in range(32)]
    for chunk in bench.args.chunk:
        runtime = bench.model.runtime(chunk)
        detector = bench.model.detector(runtime)
        suffix = "" if chunk == bench.args.chunk[0] else f", chunks of {chunk}"
        for what, batch in ((f"at layout size{suffix}", small), (f"of 200 dpi{suffix}", large)):
            places = [Letterbox.fit(p.shape[0], p.shape[1], side) for p in batch]
            for _ in range(3):
                boxes = sum(map(len, detector.detect(batch))) / len(batch)
            seconds = median_seconds(partial(runtime.detect, batch, places, 0.2), 9)
            bench.print_result(f"pages {what}: {len(batch) / seconds:.0f} pages/s, decoded uint8 -> boxes on the host, "
                     f"{len(batch)} a call, {boxes:.0f} regions a page")  # fmt: skip
            bench.results[f"pages {what}"] = len(batch) / seconds
            together = runtime.detect(batch[:8], places[:8], 0.2)
            alone = [runtime.detect([page], [place], 0.2)[0] for page, place in zip(batch[:8], places[:8], strict=True)]
            bench.print_result(
                f"  alone as among eight, bit for bit: {sum(map(_equal, alone, together))} of {len(alone)} pages"
            )
            seconds = median_seconds(partial(detector.detect, batch), 9)
            bench.print_result(f"  with regions (near-copies dropped): {len(batch) / seconds:.0f} pages/s")
            bench.results[f"pages {what}, regions"] = len(batch) / seconds
            seconds = median_seconds(partial(detector.detect, batch[:1]), 30)
            bench.print_result(f"  one page a call: {1e3 * seconds:.2f} ms")
            _shares(bench, runtime, batch, places)
        runtime.close()


def _shares(bench: LayoutBenchmark, runtime: Any, pages: list[np.ndarray], places: list[Any]) -> None:
    import torch

    chunk = runtime.chunk
    slot = runtime.staging.slot(0, chunk)
    times: dict[str, float] = {}
    with torch.inference_mode(), runtime.lock:
        runtime.compute.synchronize()

        def timed(name: str, work: Callable[[], object]) -> None:
            def whole() -> None:
                work()
                torch.cuda.synchronize()

            whole()
            times[name] = 1e3 * median_seconds(whole, 15) / chunk

        timed(
            "copy to pinned memory + upload",
            lambda: runtime.staging.upload(slot, pages[:chunk], places[:chunk], chunk),
        )
        runtime.launch(slot, places[0].shape)
        runtime.launch(slot, places[0].shape)
        key = (slot.batch, *places[0].shape)
        program = runtime.programs[key]
        from accel_kernels.letterbox import letterbox

        with torch.cuda.stream(runtime.compute):
            timed("letterbox", lambda: letterbox(slot.pixels, slot.places[:chunk], program.images))
            timed("network + decoding (graph)", lambda: runtime.run(program))
        timed("upload alone", lambda: slot.pixels.copy_(slot.pinned, non_blocking=True))
        timed("boxes to host", lambda: runtime.collect(slot, 0.2))
    found = [runtime.detect(pages[:chunk], places[:chunk], 0.2)]
    detector = bench.model.detector(runtime)
    times["regions"] = 1e3 * median_seconds(
        lambda: [detector.to_regions(d, 1024, 724) for d in found[0]], 15
    ) / len(found[0])  # fmt: skip
    print("  ms a page, each stage alone: " + ", ".join(f"{name} {ms:.3f}" for name, ms in times.items()))
    bench.results.setdefault("shares", []).append(times)


def sizes(bench: LayoutBenchmark) -> None:
    """Latency of unseen page sizes after warm-up, and the memory of many sizes."""
    import random

    import torch

    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    runtime = bench.model.runtime()
    detector = bench.model.detector(runtime)
    detector.detect([bench.model.page(1024, 724, 0)])
    rng = random.Random(3)
    latencies = _unseen_sizes(bench, runtime, detector, rng)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for width in range(400, 700, 96):
            detector.detect([bench.model.page(2000, width, 1)])  # narrower than any size above
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=40))
    peak, in_use = _many_sizes(bench, runtime, detector, rng, before)
    bench.results["sizes"] = {"latencies": latencies, "peak": peak, "in_use": in_use}
    if max(latencies) > 100 or peak > 4 << 30:
        bench.print_result("sizes: OVER THE BOUND")


def _unseen_sizes(bench: LayoutBenchmark, runtime: Any, detector: Any, rng: random.Random) -> list[float]:
    """Milliseconds of the first page of each of up to 30 sizes."""
    import torch

    from ...layout.letterbox import Letterbox

    latencies, again, building = [], [], []
    for _ in range(30):
        h, w = rng.randint(300, 2500), rng.randint(300, 2500)
        page = bench.model.page(h, w, 1)
        shape = Letterbox.fit(h, w, bench.args.imgsz).shape
        if (1, *shape) in runtime.programs:
            continue
        began = time.perf_counter()
        detector.detect([page])
        latencies.append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        runtime.fused.program(torch.empty(1, *shape, 3, dtype=torch.uint8, device=bench.model.device))
        building.append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        detector.detect([page])
        again.append(1e3 * (time.perf_counter() - began))
    middle, most = statistics.median(latencies), max(latencies)
    bench.print_result(
        f"first page of an unseen size: median {middle:.1f} ms, most {most:.1f} ms ({len(latencies)} shapes); "
        f"laying it out takes {statistics.median(building):.1f} ms of that; "
        f"the second page, with capture, {statistics.median(again):.1f} ms"
    )
    return latencies


def _many_sizes(
    bench: LayoutBenchmark, runtime: Any, detector: Any, rng: random.Random, before: int
) -> tuple[int, int]:
    """Bytes reserved at most beyond ``before``, and bytes in use on the whole GPU, after ``--sizes`` page sizes."""
    import torch

    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for start in range(0, bench.args.sizes, 50):
        pages = []
        for _ in range(min(50, bench.args.sizes - start)):
            pages.append(bench.model.page(rng.randint(200, 1800), rng.randint(200, 1800), 2))
        detector.detect(pages)
    seconds = time.perf_counter() - began
    free, total = torch.cuda.mem_get_info()
    peak = torch.cuda.max_memory_reserved() - before
    bench.print_result(
        f"{bench.args.sizes} page sizes: {peak / 2**30:.2f} GiB reserved at most, whole GPU in use "
        f"{(total - free) / 2**30:.2f} GiB, {len(runtime.programs)} graphs, {seconds:.1f} s with making the pages"
    )
    return peak, total - free


def parity(bench: LayoutBenchmark) -> None:
    """Boxes of the GPU runtime against plain float32, and of a single page against the same page in a batch."""
    import torch

    from ...layout.runtime.torch import TorchRuntime

    pages = bench.model.pages()
    detector = bench.model.detector(bench.model.runtime())
    fast = detector.detect_raw(pages)
    reference: Any
    if bench.args.reference:
        reference = _read_reference(bench.args.reference)
    else:
        exact = bench.model.detector(TorchRuntime(bench.model.graph, "cuda", precision="fp32"))
        torch.backends.cudnn.allow_tf32 = False
        reference = exact.detect_raw(pages)
    matched = total = extra = 0
    for a, b in zip(fast, reference, strict=True):
        m, t = matching_boxes(b, a)
        matched, total = matched + m, total + t
        m, t = matching_boxes(a, b)
        extra += t - m
    bench.print_result(f"parity on {len(pages)} pages: {matched} of {total} boxes over 0.3 found again "
             f"({100 * matched / max(total, 1):.2f} %), {extra} of ours over 0.3 not in the reference")  # fmt: skip
    alone = [detector.detect_raw([page])[0] for page in pages]
    equal = sum(map(_equal, alone, fast))
    worst = max((abs(a.boxes - b.boxes).max() for a, b in zip(alone, fast, strict=True)
                 if len(a) == len(b) and len(a)), default=0.0)  # fmt: skip
    bench.print_result(
        f"alone against in a batch: {equal} of {len(pages)} pages bit for bit, boxes off by {worst:.3f} px at most"
    )
    bench.results["parity"] = {
        "matched": int(matched),
        "total": int(total),
        "extra": int(extra),
        "equal": int(equal),
    }


def _equal(a: Detections, b: Detections) -> bool:
    return len(a) == len(b) and bool((a.boxes == b.boxes).all() and (a.scores == b.scores).all())


def _read_reference(path: Path) -> list[Any]:
    import numpy as np

    from ...layout.postprocess import Detections

    return [
        Detections(np.array(p["boxes"], np.float32).reshape(-1, 4), np.array(p["scores"], np.float32),
                   np.array(p["classes"], np.int64))
        for p in json.loads(path.read_text("utf-8"))
    ]  # fmt: skip
