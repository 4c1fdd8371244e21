"""``mineru-accel bench layout``: the layout model on a GPU, from its layers to whole pages, beside what it replaces.

Times are medians; "forward" is a replayed graph (device time only), everything else is wall time. Pages are white A4
sheets with random blocks unless ``--pages`` names a folder of pictures. With ``--random SCALE`` the model is one of
doclayout_yolo's with random weights (speed does not depend on them), and the package itself can be measured beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_FAILED, EXIT_OK
from .report import Chart, Column, Report, add_output, finish

if TYPE_CHECKING:
    import numpy as np
    import torch
    from accel_kernels.problems import Problem

    from ..layout.fused_network import FusedNetwork

COLUMNS = (Column("case", "what"), Column("system", "system"), Column("pages_per_s", "pages/s", ".1f"))
PARTS = ("tune", "correct", "forward", "layers", "pages", "sizes", "parity", "predict", "compile")
_LIMITS = (760e12, 4.2e12)
"""float16 operations and bytes a second of an H200 (measured, see kernels/README.md): for the layers' floors."""


def run(argv: Sequence[str]) -> int:
    """Measure what ``--parts`` names; 1 if a part failed or a result was wrong."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench layout", description=__doc__)
    parser.add_argument("--weights", type=Path, help="a checkpoint; default: the embedded model")
    parser.add_argument("--random", choices=("n", "s", "m"), help="random weights of this scale (needs doclayout_yolo)")
    parser.add_argument("--imgsz", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 16, 32], help="default: 1 8 16 32")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[p for p in PARTS if p not in ("tune", "compile")],
                        help="tune: measure tile sizes first; compile: torch.compile of the unmodified model (minutes)"
                        )  # fmt: skip
    parser.add_argument("--compile-batch", type=int, nargs="+", default=[32, 1], help="default: 32 1")
    parser.add_argument("--tune-batch", type=int, nargs="+", default=[1, 8], help="batch sizes to tune; default: 1 8")
    parser.add_argument("--chunk", type=int, nargs="+", default=[8], help="pages a launch of the engine; default: 8")
    parser.add_argument("--pages", type=Path, help="a folder of page pictures, for parity and whole pages")
    parser.add_argument("--reference", type=Path, help="boxes of those pages from elsewhere (JSON), for parity")
    parser.add_argument("--sizes", type=int, default=1000, help="page sizes of the memory test; default: %(default)s")
    add_output(parser)
    args = parser.parse_args(argv)
    import torch

    if not torch.cuda.is_available():
        print("mineru-accel bench layout measures on a GPU, and torch sees none here", file=sys.stderr)
        return EXIT_FAILED
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    bench = _Bench(args)
    for part in PARTS:
        if part in args.parts:
            bench.part(part, getattr(bench, part))
    print("\n" + "\n".join(bench.summary))
    finish(bench.report(argv), args, printed=True)
    return EXIT_FAILED if bench.failed else EXIT_OK


class _Bench:
    """What the parts share: the model, and where results go."""

    def __init__(self, args: argparse.Namespace) -> None:
        import torch

        from ..layout.architecture import build_graph

        self.args = args
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.summary: list[str] = []
        self.results: dict[str, Any] = {}
        self.failed: list[str] = []
        self.package_model: Any = None
        if args.random:
            checkpoint = self._random_checkpoint(args.random)
        else:
            from ..layout.checkpoint import load_checkpoint
            from ..models import require_layout_weights

            checkpoint = load_checkpoint(require_layout_weights(args.weights).path)
        self.checkpoint = checkpoint
        self.graph = build_graph(checkpoint)
        self.name = f"scale {checkpoint.scale or '?'}, imgsz {args.imgsz}"
        side = args.imgsz
        self.a4 = (side, -(-round(side / 2**0.5) // 32) * 32)
        self._fused: FusedNetwork | None = None

    @property
    def fused(self) -> FusedNetwork:
        if self._fused is None:
            import torch

            from ..layout.fused_network import FusedNetwork

            self._fused = FusedNetwork(self.graph, self.device, torch.float16)
        return self._fused

    def part(self, name: str, measure: Callable[[], None]) -> None:
        """Run one part; its failure is reported and costs no other."""
        import torch

        print(f"\n## {name} ({self.name})", flush=True)
        began = time.perf_counter()
        try:
            measure()
            torch.cuda.synchronize()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            self.failed.append(name)
            self.say(f"{name}: FAILED")
        torch.cuda.empty_cache()
        print(f"({name}: {time.perf_counter() - began:.1f} s)", flush=True)
        if self.args.out:
            self.args.out.mkdir(parents=True, exist_ok=True)
            (self.args.out / "layout.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def say(self, line: str) -> None:
        """Print a line now and again in the summary."""
        print(line, flush=True)
        self.summary.append(line)

    def report(self, argv: Sequence[str]) -> Report:
        """Pages a second of whatever parts were run; everything else that was measured under ``settings``."""
        report = Report("layout", COLUMNS, Chart("Layout model", "pages_per_s", "pages/s"), argv)
        report.settings = {"model": self.name, "parts": self.results, "failed parts": self.failed}
        rates: list[tuple[str, str, float]] = []
        for batch, ms in self.results.get("forward", {}).get("ms", {}).items():
            if isinstance(batch, int):
                rates.append((f"network alone, batch {batch}", "mineru-accel", 1e3 * batch / ms))
        for name, value in self.results.items():
            kind, _, what = name.partition(" ")
            if kind == "pages":
                rates.append((f"whole pages, {what}", "mineru-accel", value))
            elif kind == "predict":
                rates.append((f"whole pages, {what}", "doclayout_yolo predict", value))
            elif kind == "compile":
                rates.append((f"network alone, batch {what}", "torch.compile(max-autotune)", 1e3 * int(what) / value))
        for case, system, rate in sorted(rates, key=lambda r: r[0]):
            report.rows.append(
                {"case": f"layout, {self.name}: {case}", "system": system, "pages_per_s": round(rate, 1)}
            )
        return report

    # Parts

    def tune(self) -> None:
        """Measure the convolutions' tile sizes at this model's shapes, and remember them."""
        import torch
        from accel_kernels import tuning
        from accel_kernels.problems import fused_conv_problem
        from accel_kernels.shape_cache import Choice, forced, user_file, write_json

        from ..tune import export

        def problem(batch: int, key: tuple[int, ...]) -> Problem:
            (h, w), (c, n, k, stride), residual, low = key[:2], key[2:6], key[6], key[7]
            return fused_conv_problem(
                batch, h, w, c, n, k, stride, torch.float16, self.device, bool(residual), bool(low)
            )

        keys = sorted(self._convolutions())
        small = {key: problem(1, (8, 8, *key[2:])) for key in keys}
        jobs = {}
        for key in keys:
            h, w = key[:2]
            for batch in self.args.tune_batch:
                probe = small[key]
                probe = _with_pixels(probe, batch * h * w // key[5] ** 2)
                for config in tuning.candidates(probe):
                    jobs[(key[2] % config["BK"] == 0, key[3] % (config["BN0"] + config["BN1"]) == 0, key[4:],
                          tuple(sorted(config.items())))] = (key, config)  # fmt: skip

        def compile_one(job: tuple[tuple[int, ...], dict[str, int]]) -> None:
            key, config = job
            with forced(Choice("triton", config, "forced")), torch.cuda.device(self.device):
                try:
                    small[key].run("triton")
                except Exception as error:  # measured again, and reported, by tune()
                    print(f"{small[key].title} {config}: {type(error).__name__} {str(error)[:120]}")

        began = time.perf_counter()
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(compile_one, jobs.values()))
        torch.cuda.synchronize()
        print(f"{len(jobs)} kernels compiled in {time.perf_counter() - began:.1f} s")
        table = []
        for key in keys:
            for batch in self.args.tune_batch:
                p = problem(batch, key)
                try:
                    entry, measured = tuning.tune(p, repeat_ms=8)
                except RuntimeError as error:
                    print(error)
                    continue
                best: dict[str, tuple[float, dict[str, int]]] = {}
                for m in measured:
                    if not m.failure and m.milliseconds < best.get(m.implementation, (1e9, {}))[0]:
                        best[m.implementation] = (m.milliseconds, m.config)
                floor = 1e3 * max(p.flops / _LIMITS[0], p.bytes / _LIMITS[1])
                failed = [m for m in measured if m.failure]
                shown = " ".join(f"{k}={v}" for k, v in best.get("triton", (0, {}))[1].items())
                times = " ".join(f"{name} {ms:.4f}" for name, (ms, _) in sorted(best.items(), key=lambda i: i[1][0]))
                line = f"{p.title:38} floor {floor:.4f} {times} | {entry['implementation']} {shown}"
                print(line + (f" | {len(failed)} failed: {failed[0].failure[:80]}" if failed else ""), flush=True)
                table.append({"title": p.title, "key": p.key, "floor": floor, "best": best, "entry": entry})
                del p
        torch.cuda.empty_cache()
        self.results["tune"] = table
        path = user_file("conv2d", self.device)
        if self.args.out and path.exists():
            export(path, self.args.out / "configs", self.device)
            merged = json.loads(path.read_text("utf-8"))
            write_json(self.args.out / "conv2d.user.json", merged)

    def correct(self) -> None:
        """The fused network's raw maps against plain float32."""
        import torch

        network = self._plain(torch.float32)
        images = self._canvases(3)
        allowed = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode():
            wanted = network(images)
            half = self._plain(torch.float16)(images)
            program = self.fused.program(images)
            program.run()
            got = program.maps()
        torch.backends.cudnn.allow_tf32 = allowed
        for name, a, b, h in zip(("boxes", "logits"), wanted, got, half, strict=True):
            a, b, h = a.double(), b.transpose(1, 2).double(), h.double()
            error, plain = ((t - a).square().mean().sqrt() / a.std() for t in (b, h))
            self.say(f"{name}: RMS error of a standard deviation: fused fp16 {error:.2e}, plain fp16 {plain:.2e}")
            if not error <= 3 * plain + 1e-3:
                raise AssertionError(f"{name} are wrong")

    def forward(self) -> None:
        """Pages a second of the network alone: uint8 canvases in, raw maps out."""
        import torch
        import triton.testing

        from ..layout.fused_network import FusedNetwork

        rows = {}
        gflop = 0.0
        with torch.inference_mode():
            for batch in self.args.batch:
                images = self._canvases(batch)
                program = self.fused.program(images)
                replay = _captured(program.run)
                ms = triton.testing.do_bench(replay, warmup=40, rep=250, return_mode="median")
                rows[batch] = ms
                pages = 1e3 * batch / ms
                gflop = sum(
                    b.step.flops_per_pixel * b.output.shape[0] * b.output.shape[1] * b.output.shape[2]
                    for b in program.launches
                ) / batch / 1e9  # fmt: skip
                self.say(f"forward B={batch}: {ms:.3f} ms, {pages:.0f} pages/s, {pages * gflop / 1e3:.0f} TFLOP/s")
                del program, images
            images = self._canvases(32)
            whole = FusedNetwork(self.graph, self.device, torch.float16, block_bytes=0).program(images)
            ms = triton.testing.do_bench(_captured(whole.run), warmup=40, rep=250, return_mode="median")
            self.say(f"forward B=32, dilated blocks on all pages at once: {ms:.3f} ms, {32e3 / ms:.0f} pages/s")
            rows["32, blocks whole"] = ms
            for chunk in (4, 8, 16):
                programs = [self.fused.program(part) for part in images.split(chunk)]

                def every(programs: list[Any] = programs) -> None:
                    for program in programs:
                        program.run()

                ms = triton.testing.do_bench(_captured(every), warmup=40, rep=250, return_mode="median")
                self.say(f"forward B=32 as {32 // chunk} x {chunk} in one graph: {ms:.3f} ms, {32e3 / ms:.0f} pages/s")
                rows[f"32/{chunk}"] = ms
        self.results["forward"] = {"ms": rows, "gflop_per_page": gflop}

    def layers(self) -> None:
        """Every step alone, against its floor."""
        import torch
        import triton.testing
        from accel_kernels.conv2d import shape_key
        from accel_kernels.shape_cache import SHAPES

        for batch in (8, 32, 1):
            images = self._canvases(batch)
            rows = []
            with torch.inference_mode():
                program = self.fused.program(images)
                program.run()
                for bound in program.launches:
                    repeat = 10

                    def several(bound: Any = bound, repeat: int = repeat) -> None:
                        for _ in range(repeat):
                            bound()

                    replay = _captured(several, warm=1)
                    ms = triton.testing.do_bench(replay, warmup=1, rep=6, return_mode="median") / repeat
                    b, h, w, _ = bound.output.shape
                    flops = bound.step.flops_per_pixel * b * h * w
                    moved = sum(t.numel() * t.element_size() for t in (*bound.inputs, bound.output))
                    floor = 1e3 * max(flops / _LIMITS[0], moved / _LIMITS[1])
                    chosen = ""
                    if bound.step.conv:
                        _, n, k, s = bound.step.conv
                        choice = SHAPES.lookup(
                            "conv2d", self.device, torch.float16, *shape_key(bound.inputs[0], n, k, s)
                        )
                        chosen = choice.implementation + " " + choice.tier if choice else "default"
                    rows.append(
                        {"name": bound.step.name, "kind": bound.step.kind, "map": f"{h}x{w}", "ms": ms, "floor": floor,
                         "tflops": flops / ms / 1e9, "gbs": moved / ms / 1e6, "chosen": chosen}
                    )  # fmt: skip
            self.results[f"layers {batch}"] = rows
            total, floors = sum(r["ms"] for r in rows), sum(r["floor"] for r in rows)
            kinds: dict[str, list[dict[str, Any]]] = {}
            for row in rows:
                kinds.setdefault(f"{row['kind']} @{row['map']}", []).append(row)
            print(f"B={batch}: steps {total:.3f} ms, floors {floors:.3f} ms; by kind, largest gap first:")
            print("| kind | steps | ms | floor ms | TFLOP/s | GB/s | chosen |\n|---|---|---|---|---|---|---|")
            order = sorted(kinds.items(), key=lambda i: -sum(r["ms"] - r["floor"] for r in i[1]))
            for kind, group in order[: 40 if batch == 8 else 16]:
                ms, floor = sum(r["ms"] for r in group), sum(r["floor"] for r in group)
                speed, rate = (statistics.fmean(r[key] for r in group) for key in ("tflops", "gbs"))
                line = f"| {kind} | {len(group)} | {ms:.4f} | {floor:.4f} | {speed:.0f} | {rate:.0f}"
                print(f"{line} | {group[0]['chosen']} |")
            self.say(f"layers B={batch}: sum {total:.3f} ms (L2 warm), floors {floors:.3f} ms, {len(rows)} steps")

    def pages(self) -> None:
        """From decoded pages to boxes on the host, and the share of each stage."""
        from ..layout.letterbox import Letterbox

        side = self.args.imgsz
        small = [self._page(side, round(side / 2**0.5), i) for i in range(64)]
        large = [self._page(2339, 1654, i) for i in range(32)]
        for chunk in self.args.chunk:
            runtime = self._runtime(chunk)
            detector = self._detector(runtime)
            suffix = "" if chunk == self.args.chunk[0] else f", chunks of {chunk}"
            for what, batch in ((f"at layout size{suffix}", small), (f"of 200 dpi{suffix}", large)):
                places = [Letterbox.fit(p.shape[0], p.shape[1], side) for p in batch]
                for _ in range(3):
                    boxes = sum(map(len, detector.detect(batch))) / len(batch)
                seconds = _median(partial(runtime.detect, batch, places, 0.2), 9)
                self.say(f"pages {what}: {len(batch) / seconds:.0f} pages/s, decoded uint8 -> boxes on the host, "
                         f"{len(batch)} a call, {boxes:.0f} regions a page")  # fmt: skip
                self.results[f"pages {what}"] = len(batch) / seconds
                seconds = _median(partial(detector.detect, batch), 9)
                self.say(f"  with regions (near-copies dropped): {len(batch) / seconds:.0f} pages/s")
                self.results[f"pages {what}, regions"] = len(batch) / seconds
                seconds = _median(partial(detector.detect, batch[:1]), 30)
                self.say(f"  one page a call: {1e3 * seconds:.2f} ms")
                self._shares(runtime, batch, places)
            runtime.close()

    def _shares(self, runtime: Any, pages: list[np.ndarray], places: list[Any]) -> None:
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
        detector = self._detector(runtime)
        times["regions"] = 1e3 * _median(
            lambda: [detector._regions(d, 1024, 724) for d in found[0]], 15
        ) / len(found[0])  # fmt: skip
        print("  ms a page, each stage alone: " + ", ".join(f"{name} {ms:.3f}" for name, ms in times.items()))
        self.results.setdefault("shares", []).append(times)

    def sizes(self) -> None:
        """Unseen page sizes after warm-up, and the memory of many."""
        import random

        import torch

        from ..layout.letterbox import Letterbox

        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved()
        runtime = self._runtime()
        detector = self._detector(runtime)
        detector.detect([self._page(1024, 724, 0)])
        rng = random.Random(3)
        latencies = []
        for _ in range(30):
            h, w = rng.randint(300, 2500), rng.randint(300, 2500)
            page = self._page(h, w, 1)
            seen = (1, *Letterbox.fit(h, w, self.args.imgsz).shape) in runtime._ready
            began = time.perf_counter()
            detector.detect([page])
            if not seen:
                latencies.append(1e3 * (time.perf_counter() - began))
        middle, most = statistics.median(latencies), max(latencies)
        self.say(f"first page of an unseen size: median {middle:.1f} ms, most {most:.1f} ms ({len(latencies)} shapes)")
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        for start in range(0, self.args.sizes, 50):
            pages = []
            for _ in range(min(50, self.args.sizes - start)):
                pages.append(self._page(rng.randint(200, 1800), rng.randint(200, 1800), 2))
            detector.detect(pages)
        seconds = time.perf_counter() - began
        free, total = torch.cuda.mem_get_info()
        peak = torch.cuda.max_memory_reserved() - before
        self.say(
            f"{self.args.sizes} page sizes: {peak / 2**30:.2f} GiB reserved at most, whole GPU in use "
            f"{(total - free) / 2**30:.2f} GiB, {len(runtime._ready)} graphs, {seconds:.1f} s with making the pages"
        )
        self.results["sizes"] = {"latencies": latencies, "peak": peak, "in_use": total - free}
        if max(latencies) > 100 or peak > 4 << 30:
            self.say("sizes: OVER THE BOUND")

    def parity(self) -> None:
        """Boxes of the GPU against plain float32, and alone against in company."""
        import torch

        from ..layout.doclayout_yolo import DocLayoutYolo
        from ..layout.runtime_torch import TorchRuntime

        pages = self._pages()
        detector = self._detector(self._runtime())
        fast = detector.detect_raw(pages)
        reference: Any
        if self.args.reference:
            reference = _read_reference(self.args.reference)
        else:
            exact = self._detector(TorchRuntime(self.graph, "cuda", precision="fp32"))
            torch.backends.cudnn.allow_tf32 = False
            reference = exact.detect_raw(pages)
        matched = total = extra = 0
        for a, b in zip(fast, reference, strict=True):
            m, t = _matches(b, a)
            matched, total = matched + m, total + t
            m, t = _matches(a, b)
            extra += t - m
        self.say(f"parity on {len(pages)} pages: {matched} of {total} boxes over 0.3 found again "
                 f"({100 * matched / max(total, 1):.2f} %), {extra} of ours over 0.3 not in the reference")  # fmt: skip
        alone = [detector.detect_raw([page])[0] for page in pages]
        equal = sum(
            len(a) == len(b) and (a.boxes == b.boxes).all() and (a.scores == b.scores).all()
            for a, b in zip(alone, fast, strict=True)
        )
        worst = max((abs(a.boxes - b.boxes).max() for a, b in zip(alone, fast, strict=True)
                     if len(a) == len(b) and len(a)), default=0.0)  # fmt: skip
        self.say(
            f"alone against in a batch: {equal} of {len(pages)} pages bit for bit, boxes off by {worst:.3f} px at most"
        )
        self.results["parity"] = {
            "matched": int(matched),
            "total": int(total),
            "extra": int(extra),
            "equal": int(equal),
        }
        del DocLayoutYolo

    def predict(self) -> None:
        """doclayout_yolo's own predict on the same pages."""
        import numpy as np

        if self.package_model is None:
            self.say("predict: needs --random and doclayout_yolo")
            return
        import tempfile

        import torch
        from doclayout_yolo import YOLOv10

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "random.pt"
            torch.save({"model": self.package_model.float().cpu(), "train_args": {"imgsz": self.args.imgsz}}, path)
            model = YOLOv10(str(path))
        side = self.args.imgsz
        for what, size in (("at layout size", (side, round(side / 2**0.5))), ("of 200 dpi", (2339, 1654))):
            pages = [np.ascontiguousarray(self._page(size[0], size[1], i)[:, :, ::-1]) for i in range(16)]

            def one_by_one(pages: list[Any] = pages) -> None:
                for page in pages:
                    model.predict(page, imgsz=side, conf=0.1, iou=0.45, device="cuda", verbose=False)

            one_by_one()
            seconds = _median(one_by_one, 5) / len(pages)
            self.say(f"doclayout_yolo predict {what}, one page a call (as MinerU called it): {1 / seconds:.1f} pages/s")
            self.results[f"predict {what}"] = 1 / seconds

    def compile(self) -> None:
        """torch.compile(max-autotune) of the unmodified model, fp16, channels last."""
        import torch
        import triton.testing

        if self.package_model is None:
            self.say("compile: needs --random and doclayout_yolo")
            return
        model = self.package_model.to(self.device).half().to(memory_format=torch.channels_last).eval()
        for batch in self.args.compile_batch:
            x = self._canvases(batch).permute(0, 3, 1, 2).half().div(255).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                for _ in range(3):
                    model(x)
                eager = triton.testing.do_bench(_captured(partial(model, x)), rep=200, return_mode="median")
                self.say(f"unmodified fp16 NHWC, graph, B={batch}: {1e3 * batch / eager:.0f} pages/s")
                torch._dynamo.reset()
                began = time.perf_counter()
                compiled = torch.compile(model, mode="max-autotune")
                for _ in range(3):
                    compiled(x)
                torch.cuda.synchronize()
                spent = time.perf_counter() - began
                ms = triton.testing.do_bench(lambda c=compiled, x=x: c(x), rep=200, return_mode="median")
            rate = 1e3 * batch / ms
            self.say(f"torch.compile(max-autotune) of it, B={batch}: {rate:.0f} pages/s ({spent:.0f} s to compile)")
            self.results[f"compile {batch}"] = ms

    # Help

    def _convolutions(self) -> set[tuple[int, ...]]:
        """Distinct dense convolutions at an A4 page: rows, columns, channels in and out, kernel, stride, extras."""
        import torch

        images = torch.zeros(1, *self.a4, 3, dtype=torch.uint8, device=self.device)
        found: set[tuple[int, ...]] = set()
        for bound in self.fused.program(images).launches:
            if bound.step.conv:
                _, h, w, _ = bound.inputs[0].shape
                extra = len(bound.inputs) > 1
                low = extra and bound.inputs[1].shape[1] != bound.output.shape[1]
                found.add((h, w, *bound.step.conv, int(extra and not low), int(low)))
        return found

    def _plain(self, dtype: torch.dtype) -> torch.nn.Module:
        import torch

        from ..layout.torch_model import LayoutNetwork

        return LayoutNetwork(self.graph).to(self.device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _runtime(self, chunk: int | None = None) -> Any:
        from ..layout.runtime_gpu import CHUNK, GpuRuntime

        began = time.perf_counter()
        runtime = GpuRuntime(self.graph, "cuda", self.args.imgsz, chunk=chunk or CHUNK)
        loaded = time.perf_counter() - began
        fused = runtime.wait_compiled(300)
        print(f"loaded in {loaded:.1f} s, kernels compiled after {time.perf_counter() - began:.1f} s, fused: {fused}")
        if not fused:
            raise RuntimeError("the fused kernels are not in use")
        return runtime

    def _detector(self, runtime: Any) -> Any:
        from ..layout.doclayout_yolo import DocLayoutYolo

        detector = DocLayoutYolo.__new__(DocLayoutYolo)
        detector.weights, detector.classes, detector.conf = Path("bench"), self.checkpoint.classes, 0.2
        detector.stride, detector.imgsz, detector._runtime = self.graph.max_stride, self.args.imgsz, runtime
        return detector

    def _pages(self) -> list[np.ndarray]:
        if not self.args.pages:
            return [self._page(1024, 724 + 16 * (i % 4), i) for i in range(16)]
        import numpy as np
        from PIL import Image

        paths = sorted(p for p in self.args.pages.iterdir() if p.suffix in (".png", ".jpg", ".jpeg"))
        return [np.asarray(Image.open(p).convert("RGB")) for p in paths]

    def _canvases(self, batch: int) -> torch.Tensor:
        """Random pages on canvases of A4 shape, on the GPU."""
        import numpy as np
        import torch

        pages = [self._page(*self.a4, i) for i in range(min(batch, 4))]
        return torch.from_numpy(np.stack([pages[i % len(pages)] for i in range(batch)])).to(self.device)

    def _page(self, height: int, width: int, seed: int) -> np.ndarray:
        import numpy as np

        rng = np.random.default_rng(seed)
        page = np.full((height, width, 3), 255, np.uint8)
        for _ in range(40):
            y, x = rng.integers(0, height), rng.integers(0, width)
            h, w = rng.integers(4, max(5, height // 8)), rng.integers(8, max(9, width // 2))
            block = page[y : y + h, x : x + w]
            block[:: rng.integers(1, 9)] = rng.integers(0, 256, 3)
        return page

    def _random_checkpoint(self, scale: str) -> Any:
        """One of doclayout_yolo's models whose activations stay near unit size on these pages."""
        import os
        import socket
        import tempfile

        import torch
        from torch import nn

        from ..layout.checkpoint import Checkpoint
        from ..layout.classes import CLASSES

        os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())
        connect, socket.create_connection = socket.create_connection, _offline  # type: ignore[assignment]  # its import asks the network
        try:
            from doclayout_yolo.nn.tasks import YOLOv10DetectionModel
        finally:
            socket.create_connection = connect
        torch.manual_seed(7)
        model = YOLOv10DetectionModel("yolov10m-doclayout.yaml", nc=len(CLASSES), verbose=False)
        if scale != "m":
            config = {**model.yaml, "scale": scale, "scales": {"n": [0.33, 0.25, 1024], "s": [0.33, 0.5, 1024]}}
            model = YOLOv10DetectionModel(config, verbose=False)
        model.names = dict(enumerate(CLASSES))
        model = model.to(self.device)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            nn.init.uniform_(norm.weight, 0.7, 1.3)
            nn.init.normal_(norm.bias, 0, 0.2)
            norm.momentum = None
            norm.reset_running_stats()
        import numpy as np

        pages = torch.from_numpy(np.stack([self._page(512, 384, i) for i in range(4)])).to(self.device)
        x = pages.permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            model.train()
            model(torch.cat([x, torch.rand_like(x)]))
            model.eval()
            for norm in norms:
                norm.momentum = 0.03
                assert norm.running_var is not None
                norm.running_var += 0.3 * norm.running_var.mean()
            raw = model(x)["one2one"][1]
            head = model.model[-1]
            for level, maps in enumerate(raw):
                for convs, part, std, mean in (
                    (head.one2one_cv2, maps[:, :4], 0.8, 3.0), (head.one2one_cv3, maps[:, 4:], 1.2, -5.7)
                ):  # fmt: skip
                    last = convs[level][-1]
                    gain = std / part.std((0, 2, 3))
                    last.weight *= gain[:, None, None, None]
                    last.bias.copy_((last.bias - part.mean((0, 2, 3))) * gain + mean)
        self.package_model = model
        state = {k: v.detach().float().cpu().numpy() for k, v in model.state_dict().items()}
        yaml = {**model.yaml, "scale": scale}
        return Checkpoint(state, tuple(CLASSES), yaml, imgsz=self.args.imgsz)


def _offline(*args: object, **kwargs: object) -> None:
    raise OSError("offline")


def _with_pixels(problem: Problem, pixels: int) -> Problem:
    from dataclasses import replace

    return replace(problem, key=(problem.key[0], problem.key[1], pixels))


def _captured(work: Callable[[], object], warm: int = 3) -> Callable[[], None]:
    """``work`` as a graph's replay."""
    import torch

    for _ in range(warm):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


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

    from ..layout.postprocess import iou_matrix

    keep = np.asarray(wanted.scores) > score
    n = len(wanted.boxes)
    both = iou_matrix(np.concatenate([wanted.boxes, found.boxes]).astype(np.float32))[:n, n:]
    same = np.asarray(wanted.classes)[:, None] == np.asarray(found.classes)[None]
    good = ((both > iou) & same).any(1) if len(found.boxes) else np.zeros(n, bool)
    return int((good & keep).sum()), int(keep.sum())


def _read_reference(path: Path) -> list[Any]:
    import numpy as np

    from ..layout.postprocess import Detections

    return [
        Detections(np.array(p["boxes"], np.float32).reshape(-1, 4), np.array(p["scores"], np.float32),
                   np.array(p["classes"], np.int64))
        for p in json.loads(path.read_text("utf-8"))
    ]  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
