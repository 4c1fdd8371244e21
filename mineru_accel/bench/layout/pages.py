"""``bench layout``'s parts that run whole pages: the engine, its memory and boxes, doclayout_yolo's predict."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ...layout.postprocess import Detections
    from .command import Bench


def pages(bench: Bench) -> None:
    """From decoded pages to boxes on the host, and the share of each stage."""
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
            seconds = _median(partial(runtime.detect, batch, places, 0.2), 9)
            bench.say(f"pages {what}: {len(batch) / seconds:.0f} pages/s, decoded uint8 -> boxes on the host, "
                     f"{len(batch)} a call, {boxes:.0f} regions a page")  # fmt: skip
            bench.results[f"pages {what}"] = len(batch) / seconds
            together = runtime.detect(batch[:8], places[:8], 0.2)
            alone = [runtime.detect([page], [place], 0.2)[0] for page, place in zip(batch[:8], places[:8], strict=True)]
            bench.say(f"  alone as among eight, bit for bit: {sum(map(_equal, alone, together))} of {len(alone)} pages")
            seconds = _median(partial(detector.detect, batch), 9)
            bench.say(f"  with regions (near-copies dropped): {len(batch) / seconds:.0f} pages/s")
            bench.results[f"pages {what}, regions"] = len(batch) / seconds
            seconds = _median(partial(detector.detect, batch[:1]), 30)
            bench.say(f"  one page a call: {1e3 * seconds:.2f} ms")
            _shares(bench, runtime, batch, places)
        runtime.close()


def _shares(bench: Bench, runtime: Any, pages: list[np.ndarray], places: list[Any]) -> None:
    import torch

    chunk = runtime.chunk
    slot = runtime._slot(0)
    times: dict[str, float] = {}
    with torch.inference_mode(), runtime._lock:
        runtime._compute.synchronize()

        def timed(name: str, work: Callable[[], object]) -> None:
            def whole() -> None:
                work()
                torch.cuda.synchronize()

            whole()
            times[name] = 1e3 * _median(whole, 15) / chunk

        timed("copy to pinned memory + upload", lambda: runtime._stage(slot, pages[:chunk], places[:chunk]))
        runtime._launch(slot, places[0].shape)
        runtime._launch(slot, places[0].shape)
        key = (slot.batch, *places[0].shape)
        ready = runtime._ready[key]
        from accel_kernels.letterbox import letterbox

        with torch.cuda.stream(runtime._compute):
            timed("letterbox", lambda: letterbox(slot.pixels, slot.places[:chunk], ready.images))
            timed("network + decoding (graph)", lambda: runtime._run(ready))
        timed("upload alone", lambda: slot.pixels.copy_(slot.pinned, non_blocking=True))
        timed("boxes to host", lambda: runtime._collect(slot, 0.2))
    found = [runtime.detect(pages[:chunk], places[:chunk], 0.2)]
    detector = bench.model.detector(runtime)
    times["regions"] = 1e3 * _median(
        lambda: [detector._regions(d, 1024, 724) for d in found[0]], 15
    ) / len(found[0])  # fmt: skip
    print("  ms a page, each stage alone: " + ", ".join(f"{name} {ms:.3f}" for name, ms in times.items()))
    bench.results.setdefault("shares", []).append(times)


def sizes(bench: Bench) -> None:
    """Unseen page sizes after warm-up, and the memory of many."""
    import random

    import torch

    from ...layout.letterbox import Letterbox

    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    runtime = bench.model.runtime()
    detector = bench.model.detector(runtime)
    detector.detect([bench.model.page(1024, 724, 0)])
    rng = random.Random(3)
    latencies, again, building = [], [], []
    for _ in range(30):
        h, w = rng.randint(300, 2500), rng.randint(300, 2500)
        page = bench.model.page(h, w, 1)
        shape = Letterbox.fit(h, w, bench.args.imgsz).shape
        if (1, *shape) in runtime._ready:
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
    bench.say(
        f"first page of an unseen size: median {middle:.1f} ms, most {most:.1f} ms ({len(latencies)} shapes); "
        f"laying it out takes {statistics.median(building):.1f} ms of that; "
        f"the second page, with capture, {statistics.median(again):.1f} ms"
    )
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for width in range(400, 700, 96):
            detector.detect([bench.model.page(2000, width, 1)])  # narrower than what was drawn above
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=40))
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
    bench.say(
        f"{bench.args.sizes} page sizes: {peak / 2**30:.2f} GiB reserved at most, whole GPU in use "
        f"{(total - free) / 2**30:.2f} GiB, {len(runtime._ready)} graphs, {seconds:.1f} s with making the pages"
    )
    bench.results["sizes"] = {"latencies": latencies, "peak": peak, "in_use": total - free}
    if max(latencies) > 100 or peak > 4 << 30:
        bench.say("sizes: OVER THE BOUND")


def parity(bench: Bench) -> None:
    """Boxes of the GPU against plain float32, and alone against in company."""
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
        m, t = _matches(b, a)
        matched, total = matched + m, total + t
        m, t = _matches(a, b)
        extra += t - m
    bench.say(f"parity on {len(pages)} pages: {matched} of {total} boxes over 0.3 found again "
             f"({100 * matched / max(total, 1):.2f} %), {extra} of ours over 0.3 not in the reference")  # fmt: skip
    alone = [detector.detect_raw([page])[0] for page in pages]
    equal = sum(map(_equal, alone, fast))
    worst = max((abs(a.boxes - b.boxes).max() for a, b in zip(alone, fast, strict=True)
                 if len(a) == len(b) and len(a)), default=0.0)  # fmt: skip
    bench.say(
        f"alone against in a batch: {equal} of {len(pages)} pages bit for bit, boxes off by {worst:.3f} px at most"
    )
    bench.results["parity"] = {
        "matched": int(matched),
        "total": int(total),
        "extra": int(extra),
        "equal": int(equal),
    }


def predict(bench: Bench) -> None:
    """doclayout_yolo's own predict, and the same with our patch, in turn; first that both find the same boxes."""
    import numpy as np

    from ... import patches

    if bench.model.package_model is None:
        bench.say("predict: needs --random and doclayout_yolo")
        return
    side = bench.args.imgsz
    options = {"imgsz": side, "conf": 0.1, "iou": 0.45, "device": str(bench.model.device), "verbose": False}
    sizes = {"at layout size": (side, round(side / 2**0.5)), "of 200 dpi": (2339, 1654)}
    pages = {
        what: [np.ascontiguousarray(bench.model.page(h, w, i)[:, :, ::-1]) for i in range(16)]
        for what, (h, w) in sizes.items()
    }
    plain = _package_wrapper(bench)
    plain.predict(pages["at layout size"][0], **options)  # its predictor is made before the patch is there
    try:
        status = patches.apply("doclayout-yolo")
        bench.say(f"patch doclayout-yolo: {status.state.value}, {status.reason}")
        patched = _package_wrapper(bench)
        patched.predict(pages["at layout size"][0], **options)
        engine = vars(patched.predictor).get("_mineru_accel_engine")
        if engine is None or not engine.wait_compiled(300):
            raise RuntimeError("the patch's engine is not in use")
        for what, batch in pages.items():
            matched = total = 0
            for page in batch:
                wanted, found = (_detections(model.predict(page, **options)[0]) for model in (plain, patched))
                m, t = _matches(wanted, found)
                matched, total = matched + m, total + t
            bench.say(f"patched predict {what}: {matched} of {total} boxes over 0.3 found again")
            bench.results[f"patched boxes {what}"] = {"matched": matched, "total": total}

            def one_by_one(model: Any, batch: list[Any] = batch) -> None:
                for page in batch:
                    model.predict(page, **options)

            def at_once(model: Any, batch: list[Any] = batch) -> None:
                model.predict(list(batch), **options)

            for way, call in (("one page a call (as MinerU called it)", one_by_one), ("16 a call", at_once)):
                seconds: dict[str, list[float]] = {"predict": [], "patched": []}
                for model in (plain, patched):
                    call(model)
                for _ in range(5):
                    for name, model in (("predict", plain), ("patched", patched)):
                        seconds[name].append(_median(partial(call, model), 1) / len(batch))
                for name, times in seconds.items():
                    rate = 1 / statistics.median(times)
                    bench.results[f"{name} {what}, {way}"] = rate
                    bench.say(f"doclayout_yolo {name} {what}, {way}: {rate:.1f} pages/s")
            alone = bench.results[f"predict {what}, one page a call (as MinerU called it)"]
            if ours := bench.results.get(f"pages {what}"):
                bench.say(f"the engine {what}: {ours:.0f} pages/s, {ours / alone:.1f} times predict, one page a call")
    finally:
        patches.revert("doclayout-yolo")


def _package_wrapper(bench: Bench) -> Any:
    """doclayout_yolo's YOLOv10 of the model, from a file as a user has it."""
    import tempfile

    import torch
    from doclayout_yolo import YOLOv10

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pt"
        model = bench.model.package_model.float().cpu()
        torch.save({"model": model, "train_args": {"imgsz": bench.args.imgsz}}, path)
        return YOLOv10(str(path))


def _detections(result: Any) -> Detections:
    """A Results' boxes."""
    from ...layout.postprocess import Detections

    boxes = result.boxes.cpu()
    return Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(int))


def _equal(a: Detections, b: Detections) -> bool:
    return len(a) == len(b) and bool((a.boxes == b.boxes).all() and (a.scores == b.scores).all())


def _median(work: Callable[[], object], times: int) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _matches(wanted: Any, found: Any, score: float = 0.3, iou: float = 0.95) -> tuple[int, int]:
    """(matched, all) boxes of ``wanted`` over ``score`` that ``found`` has too: same class, IoU over ``iou``."""
    import numpy as np

    from ...layout.postprocess import iou_matrix

    keep = np.asarray(wanted.scores) > score
    n = len(wanted.boxes)
    both = iou_matrix(np.concatenate([wanted.boxes, found.boxes]).astype(np.float32))[:n, n:]
    same = np.asarray(wanted.classes)[:, None] == np.asarray(found.classes)[None]
    good = ((both > iou) & same).any(1) if len(found.boxes) else np.zeros(n, bool)
    return int((good & keep).sum()), int(keep.sum())


def _read_reference(path: Path) -> list[Any]:
    import numpy as np

    from ...layout.postprocess import Detections

    return [
        Detections(np.array(p["boxes"], np.float32).reshape(-1, 4), np.array(p["scores"], np.float32),
                   np.array(p["classes"], np.int64))
        for p in json.loads(path.read_text("utf-8"))
    ]  # fmt: skip
