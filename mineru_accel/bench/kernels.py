"""`mineru-accel bench kernels`: the kernels against what they replace, at the shapes of real pages.

Every row is checked against a float64 reference first; where the numbers are wrong there is no speed-up to print, and
the command fails. Times are medians with a cold L2: "ms" and "baseline" of replayed graphs (device time only), "calls"
of ordinary calls (launches included). "limit" is the larger of the operations over the measured rate of a large matrix
product and the bytes (each input read and each output written once) over the measured rate of a large copy.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from accel_kernels.problems import Problem


def run(argv: list[str]) -> int:
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
    parser.add_argument("--json", type=Path, help="also write the rows there")
    args = parser.parse_args(argv)
    import torch

    if not torch.cuda.is_available():
        print("mineru-accel bench kernels measures on a GPU, and torch sees none here", file=sys.stderr)
        return 1
    device = torch.device("cuda", torch.cuda.current_device())
    limits = measure_limits(device)
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"matrix product {limits[0] / 1e12:.0f} TFLOP/s, copy {limits[1] / 1e12:.2f} TB/s\n")
    print(
        "| problem | implementation | error | ms | limit ms | of limit | TFLOP/s | baseline | ms | speed-up | calls |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for problem in problems(args, device):
        row = measure(problem, args, limits)
        rows.append(row)
        print(line(row), flush=True)
        del problem
        torch.cuda.empty_cache()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(row["right"] for row in rows) else 1


def problems(args: argparse.Namespace, device: "torch.device") -> "list[Problem] | Any":
    """The problems asked for, one at a time."""
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
    """One row; without times if the result is wrong."""
    import torch
    import triton.testing
    from accel_kernels import tuning
    from accel_kernels._ops import choose

    def call() -> Any:
        return problem.run(args.implementation)

    def calls(f: Callable[[], Any]) -> float:
        return float(triton.testing.do_bench(f, warmup=10, rep=args.repeat, return_mode="median"))

    chosen = args.implementation
    if chosen == "auto":
        chosen = "auto: " + choose(problem.op, problem.x, *problem.key).implementation
    error = tuning.relative_rms(call(), problem.truth())
    dtype = torch.bfloat16 if problem.x.dtype == torch.uint8 else problem.x.dtype
    row: dict[str, Any] = {"title": problem.title, "implementation": chosen, "error": error, "baselines": {}}
    row["right"] = error <= tuning.tolerance(dtype, problem.depth)
    if not row["right"]:
        return row
    row["ms"] = tuning.time_graph(call, args.repeat)
    row["calls"] = calls(call)
    row["limit"] = 1e3 * max(problem.flops / limits[0], problem.bytes / limits[1])
    row["tflops"] = problem.flops / row["ms"] / 1e9
    row["baselines"] = {name: tuning.time_graph(f, args.repeat) for name, f in problem.baselines.items()}
    row["baseline_calls"] = {name: calls(f) for name, f in problem.baselines.items()}
    if args.compile and problem.op == "dilated_block":
        eager = problem.baselines["eager"]
        torch._dynamo.reset()
        compiled = torch.compile(eager, mode="max-autotune-no-cudagraphs")
        compiled()
        row["baselines"]["compile max-autotune"] = tuning.time_graph(compiled, args.repeat)
        row["baseline_calls"]["compile max-autotune"] = calls(compiled)
    return row


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    start = f"| {row['title']} | {row['implementation']} | {row['error']:.1e} |"
    if not row["right"]:
        return f"{start} WRONG | | | | | | | |"
    names = " / ".join(row["baselines"])
    times = " / ".join(f"{ms:.4f}" for ms in row["baselines"].values())
    ratios = " / ".join(f"{ms / row['ms']:.2f}x" for ms in row["baselines"].values())
    calls = " / ".join(f"{ms / row['calls']:.2f}x" for ms in row["baseline_calls"].values())
    share = f"{row['ms']:.4f} | {row['limit']:.4f} | {100 * row['limit'] / row['ms']:.0f} %"
    return f"{start} {share} | {row['tflops']:.0f} | {names} | {times} | {ratios} | {row['calls']:.4f}, {calls} |"


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
