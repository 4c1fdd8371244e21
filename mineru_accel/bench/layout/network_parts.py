"""Parts of ``bench layout`` that run the network alone: correctness, speed, layers, torch.compile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .tile_tuning import H200_LIMITS

if TYPE_CHECKING:
    from .benchmark import LayoutBenchmark


def correct(bench: LayoutBenchmark) -> None:
    """The fused network's raw maps against plain float32."""
    import torch

    network = bench.model.plain(torch.float32)
    images = bench.model.canvases(3)
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        wanted = network(images)
        half = bench.model.plain(torch.float16)(images)
        program = bench.model.fused.program(images)
        program.run()
        got = program.maps()
    torch.backends.cudnn.allow_tf32 = allowed
    for name, a, b, h in zip(("boxes", "logits"), wanted, got, half, strict=True):
        a, b, h = a.double(), b.transpose(1, 2).double(), h.double()
        error, plain = ((t - a).square().mean().sqrt() / a.std() for t in (b, h))
        bench.print_result(f"{name}: RMS error of a standard deviation: fused fp16 {error:.2e}, plain fp16 {plain:.2e}")
        if not error <= 3 * plain + 1e-3:
            raise AssertionError(f"{name} are wrong")


def forward(bench: LayoutBenchmark) -> None:
    """Pages/s of the network alone, from uint8 canvases to raw maps."""
    import torch
    import triton.testing

    from ...layout.runtime.fused_network import FusedNetwork

    rows: dict[int | str, float] = {}
    gflop = 0.0

    def measured(name: int | str, title: str, pages: int, work: Callable[[], object]) -> None:
        rows[name] = triton.testing.do_bench(_captured(work), warmup=40, rep=250, return_mode="median")
        rate = 1e3 * pages / rows[name]
        bench.print_result(
            f"forward {title}: {rows[name]:.3f} ms, {rate:.0f} pages/s, {rate * gflop / 1e3:.0f} TFLOP/s"
        )

    own = FusedNetwork(bench.model.graph, bench.model.device, torch.float16, convolution="own")
    with torch.inference_mode():
        for batch in bench.args.batch:
            images = bench.model.canvases(batch)
            program = bench.model.fused.program(images)
            gflop = sum(
                b.step.flops_per_pixel * b.output.shape[0] * b.output.shape[1] * b.output.shape[2]
                for b in program.launches
            ) / batch / 1e9  # fmt: skip
            measured(batch, f"B={batch}", batch, program.run)
            del program
            measured(
                f"{batch}, own", f"B={batch}, our convolutions alone (the engine's)", batch, own.program(images).run
            )
            del images
        del own
        images = bench.model.canvases(32)
        whole = FusedNetwork(bench.model.graph, bench.model.device, torch.float16, block_bytes=0).program(images)
        measured("32, blocks whole", "B=32, dilated blocks on all pages at once", 32, whole.run)
        for chunk in (4, 8, 16):
            programs = [bench.model.fused.program(part) for part in images.split(chunk)]

            def every(programs: list[Any] = programs) -> None:
                for program in programs:
                    program.run()

            measured(f"32/{chunk}", f"B=32 as {32 // chunk} x {chunk} in one graph", 32, every)
    bench.results["forward"] = {"ms": rows, "gflop_per_page": gflop}


def layers(bench: LayoutBenchmark) -> None:
    """Time of every step alone, beside the lower bound from the GPU's measured limits."""
    import torch
    import triton.testing
    from accel_kernels.conv2d import shape_key
    from accel_kernels.shape_cache import SHAPES

    for batch in (8, 32, 1):
        images = bench.model.canvases(batch)
        rows = []
        with torch.inference_mode():
            program = bench.model.fused.program(images)
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
                floor = 1e3 * max(flops / H200_LIMITS[0], moved / H200_LIMITS[1])
                chosen = ""
                if bound.step.conv:
                    _, n, k, s = bound.step.conv
                    choice = SHAPES.lookup(
                        "conv2d", bench.model.device, torch.float16, *shape_key(bound.inputs[0], n, k, s)
                    )
                    chosen = choice.implementation + " " + choice.tier if choice else "default"
                rows.append(
                    {"name": bound.step.name, "kind": bound.step.kind, "map": f"{h}x{w}", "ms": ms, "floor": floor,
                     "tflops": flops / ms / 1e9, "gbs": moved / ms / 1e6, "chosen": chosen}
                )  # fmt: skip
        bench.results[f"layers {batch}"] = rows
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
        bench.print_result(f"layers B={batch}: sum {total:.3f} ms (L2 warm), floors {floors:.3f} ms, {len(rows)} steps")


def compile_unmodified(bench: LayoutBenchmark) -> None:
    """torch.compile(max-autotune) of the unmodified model, fp16, channels last."""
    import torch
    import triton.testing

    if bench.model.package_model is None:
        bench.print_result("compile: needs --random and doclayout_yolo")
        return
    model = bench.model.package_model.to(bench.model.device).half().to(memory_format=torch.channels_last).eval()
    for batch in bench.args.compile_batch:
        x = (
            bench.model.canvases(batch)
            .permute(0, 3, 1, 2)
            .half()
            .div(255)
            .contiguous(memory_format=torch.channels_last)
        )
        with torch.inference_mode():
            for _ in range(3):
                model(x)
            eager = triton.testing.do_bench(_captured(partial(model, x)), rep=200, return_mode="median")
            bench.print_result(f"unmodified fp16 NHWC, graph, B={batch}: {1e3 * batch / eager:.0f} pages/s")
            torch.compiler.reset()
            began = time.perf_counter()
            compiled = torch.compile(model, mode="max-autotune")
            for _ in range(3):
                compiled(x)
            torch.cuda.synchronize()
            spent = time.perf_counter() - began
            ms = triton.testing.do_bench(lambda c=compiled, x=x: c(x), rep=200, return_mode="median")
        rate = 1e3 * batch / ms
        bench.results[f"compile {batch}"] = ms
        bench.print_result(
            f"torch.compile(max-autotune) of it, B={batch}: {rate:.0f} pages/s ({spent:.0f} s to compile)"
        )
        with torch.inference_mode():
            program = bench.model.fused.program(bench.model.canvases(batch))
            ours = triton.testing.do_bench(_captured(program.run), rep=200, return_mode="median")
        bench.print_result(f"ours, B={batch}: {1e3 * batch / ours:.0f} pages/s, {ms / ours:.2f} times that")


def _captured(work: Callable[[], object], warm: int = 3) -> Callable[[], None]:
    """Record ``work`` as a CUDA graph; returns its replay."""
    import torch

    for _ in range(warm):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
