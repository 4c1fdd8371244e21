"""``mineru-accel bench kernels``: the kernels against what they replace, at the shapes of real pages.

Every row is checked against a float64 reference first; where the numbers are wrong there is no speed-up to print, and
the command fails. Times are medians with a cold L2: "ms" and "baseline" of replayed graphs (device time only), "calls"
of ordinary calls (launches included). "limit" is the larger of the operations over the measured rate of a large matrix
product and the bytes (each input read and each output written once) over the measured rate of a large copy.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...hardware import gpus
from ..report import report as r
from ..report.output import add_output, finish

if TYPE_CHECKING:
    import torch
    from accel_kernels.problems import Problem

COLUMNS = (
    *(r.Column("case", "problem"), r.Column("system", "implementation"), r.Column("error", "error", ".1e")),
    *(r.Column("ms", "ms", ".4f"), r.Column("limit_ms", "limit ms", ".4f"), r.Column("of_limit", "of limit", ".0%")),
    *(r.Column("tflops", "TFLOP/s", ".0f"), r.Column("baseline", "baseline"), r.Column("baseline_ms", "ms", ".4f")),
    *(r.Column("speed_up", "speed-up", ".2f"), r.Column("calls_ms", "calls ms", ".4f")),
    r.Column("calls_speed_up", "calls: speed-up", ".2f"),
)


def run(argv: Sequence[str]) -> int:
    """Print a Markdown table; 1 if a result was wrong or there is no GPU."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench kernels", description=run.__doc__)
    parser.add_argument(
        "--op", nargs="+", default=["dilated_conv2d", "dilated_block", "patch_embed", "patch_embed_uint8"]
    )
    parser.add_argument("--scale", nargs="+", choices=("n", "s", "m"), default=["m", "n"])
    parser.add_argument("--imgsz", nargs="+", type=int, default=[1024, 1280])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--patches", nargs="+", type=int, default=[1296, 5476, 43808])
    parser.add_argument("--dtype", choices=("float16", "bfloat16"), default="float16", help="of the convolutions")
    parser.add_argument("--implementation", default="auto", help="auto, triton, vendor, ...")
    parser.add_argument(
        "--compile", action="store_true", help="also torch.compile(max-autotune); minutes a shape family"
    )
    parser.add_argument("--repeat", type=int, default=60, metavar="MS", help="milliseconds spent timing each")
    add_output(parser)
    args = parser.parse_args(argv)
    import torch

    if not gpus.usable():
        print("mineru-accel bench kernels measures on a GPU, and torch sees none here", file=sys.stderr)
        return 1
    device = torch.device("cuda", torch.cuda.current_device())
    limits = measure_limits(device)
    chart = r.Chart("Kernels", "speed_up", "times as fast as the fastest baseline", label="case", group="op")
    report = r.Report("kernels", COLUMNS, chart, argv)
    report.settings = {"matrix product TFLOP/s": round(limits[0] / 1e12), "copy TB/s": round(limits[1] / 1e12, 2)}
    show = args.json != "-"
    if show:
        print(f"{report.date}, {r.describe(report.to_dict())}\n{report.settings}\n")
        print(r.row(c.title for c in COLUMNS) + "\n|" + "---|" * len(COLUMNS))
    for problem in problems(args, device):
        row = measure(problem, args, limits)
        report.rows.append(row)
        if show:
            print(r.row(r.cell(row.get(c.key), c.spec) for c in COLUMNS), flush=True)
        del problem
        torch.cuda.empty_cache()
    finish(report, args, printed=True)
    return 0 if all(row["right"] for row in report.rows) else 1


def problems(args: argparse.Namespace, device: "torch.device") -> "list[Problem] | Any":
    """The requested problems, one at a time."""
    import torch
    from accel_kernels import problems as p

    dtype = getattr(torch, args.dtype)
    for op in args.op:
        if op == "patch_embed":
            yield from (p.patch_problem(m, 1280, torch.bfloat16, device) for m in args.patches)
        elif op == "patch_embed_uint8":
            yield from (p.uint8_problem(m, 1280, device) for m in args.patches)
        else:
            for scale in args.scale:
                for size in args.imgsz:
                    h, w = p.page_at_p3(size)
                    for stage, c, k in zip((1, 2), p.SCALES[scale], (5, 3), strict=True):
                        for b in args.batch:
                            if op == "dilated_block":
                                yield p.block_problem(b, h // stage, w // stage, c, k, dtype, device)
                            else:
                                d = p.DILATIONS[k][-1]
                                yield p.conv_problem(b, h // stage, w // stage, c, k, d, dtype, device)


def measure(problem: "Problem", args: argparse.Namespace, limits: tuple[float, float]) -> dict[str, Any]:
    """The row of one problem; without times if the result is wrong."""
    import torch
    import triton.testing
    from accel_kernels import tuning
    from accel_kernels.ops import choose

    def call() -> Any:
        return problem.run(args.implementation)

    def calls(f: Callable[[], Any]) -> float:
        return float(triton.testing.do_bench(f, warmup=10, rep=args.repeat, return_mode="median"))

    chosen = args.implementation
    if chosen == "auto":
        chosen = "auto: " + choose(problem.op, problem.x, *problem.key).implementation
    error = tuning.relative_rms(call(), problem.truth())
    dtype = torch.bfloat16 if problem.x.dtype == torch.uint8 else problem.x.dtype
    row: dict[str, Any] = {"op": problem.op, "case": problem.title, "system": chosen, "error": error}
    row["right"] = error <= tuning.tolerance(dtype, problem.depth)
    if not row["right"]:
        return row | {"system": f"{chosen}: WRONG"}
    row["ms"] = tuning.time_graph(call, args.repeat)
    row["calls_ms"] = calls(call)
    row["limit_ms"] = 1e3 * max(problem.flops / limits[0], problem.bytes / limits[1])
    row["of_limit"] = row["limit_ms"] / row["ms"]
    row["tflops"] = problem.flops / row["ms"] / 1e9
    baselines = {name: (tuning.time_graph(f, args.repeat), calls(f)) for name, f in problem.baselines.items()}
    if args.compile and problem.op == "dilated_block":
        eager = problem.baselines["eager"]
        torch.compiler.reset()
        compiled = torch.compile(eager, mode="max-autotune-no-cudagraphs")
        compiled()
        baselines["compile max-autotune"] = (tuning.time_graph(compiled, args.repeat), calls(compiled))
    return row | baseline_entries(row["ms"], row["calls_ms"], baselines)


def baseline_entries(ms: float, calls_ms: float, baselines: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Entries of a row about the fastest baseline; ``baselines`` are (ms replayed as a graph, ms of a call) by name."""
    if not baselines:
        return {}
    name, (best, _) = min(baselines.items(), key=lambda item: item[1][0])
    fastest_call = min(call for _, call in baselines.values())
    return {
        "baseline": name,
        "baseline_ms": best,
        "speed_up": best / ms,
        "calls_speed_up": fastest_call / calls_ms,
        "baselines": {n: {"ms": graph, "calls_ms": call} for n, (graph, call) in baselines.items()},
    }


def measure_limits(device: "torch.device") -> tuple[float, float]:
    """(float16 operations, bytes) a second: an 8192 cubed product of random numbers, a copy of 2 GiB."""
    import torch
    import triton.testing

    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.float16) for _ in range(2))
    product = triton.testing.do_bench(lambda: a @ b, return_mode="median")
    source = torch.empty(2**31, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = triton.testing.do_bench(lambda: target.copy_(source), return_mode="median")
    return 2 * 8192**3 / product * 1e3, 2 * source.numel() / copy * 1e3


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
