"""`mineru-accel tune`: measure the kernels on this device and remember what is fastest, per shape.

The results go to the user's cache (accel_kernels.shape_cache); `--export DIR` also writes them as files to ship. A
result counts only if it is right, and ties go to the vendor's library.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from accel_kernels.problems import Problem

OPS = ("dilated_block", "dilated_conv2d", "patch_embed", "patch_embed_uint8")


def run(argv: list[str]) -> int:
    """Measure, print one line per shape, store the winners; 0 if every shape had a right implementation."""
    args = parser().parse_args(argv)
    import torch
    from accel_kernels import tuning
    from accel_kernels.shape_cache import SHAPES, user_file

    if not torch.cuda.is_available():
        print("mineru-accel tune measures on a GPU, and torch sees none here", file=sys.stderr)
        return 1
    device = torch.device("cuda", torch.cuda.current_device())
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    failures = 0
    for problem in problems(args, device):
        known = SHAPES.lookup(problem.op, device, problem.x.dtype, *problem.key)
        if known is not None and known.tier == "user exact" and not args.again:
            print(f"{problem.title}: known, {known.implementation}")
            continue
        start = time.perf_counter()
        try:
            entry, measured = tuning.tune(problem, repeat_ms=args.repeat)
        except RuntimeError as error:
            failures += 1
            print(error, file=sys.stderr)
            continue
        best: dict[str, float] = {}
        for m in measured:
            if not m.failure:
                best[m.implementation] = min(best.get(m.implementation, float("inf")), m.milliseconds)
        times = ", ".join(f"{name} {ms:.4f} ms" for name, ms in sorted(best.items(), key=lambda item: item[1]))
        seconds = time.perf_counter() - start
        print(f"{problem.title}: {entry['implementation']} of {times} ({len(measured)} tried, {seconds:.0f} s)")
        torch.cuda.empty_cache()
    for op in args.op:
        path = user_file(op, device)
        if path.exists():
            print(path)
            if args.export:
                export(path, args.export, device)
    return 1 if failures else 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(prog="mineru-accel tune", description=run.__doc__)
    p.add_argument("--op", nargs="+", choices=OPS, default=list(OPS))
    p.add_argument("--scale", nargs="+", choices=("n", "s", "m"), default=["m"], help="layout model scales")
    p.add_argument("--imgsz", nargs="+", type=int, default=[1024], help="layout image sizes; pages are A4 portrait")
    p.add_argument("--shape", nargs="+", metavar="HxW", default=[], help="other layout inputs in pixels, e.g. 736x1024")
    p.add_argument("--batch", nargs="+", type=int, default=[1, 8, 32])
    p.add_argument("--patches", nargs="+", type=int, default=[1296, 5476, 43808], help="rows of the patch embedding")
    p.add_argument("--width", type=int, default=1280, help="columns of the patch embedding")
    p.add_argument("--dtype", nargs="+", choices=("float16", "bfloat16", "float32"), default=["float16"])
    p.add_argument("--repeat", type=int, default=60, metavar="MS", help="milliseconds spent timing a configuration")
    p.add_argument("--again", action="store_true", help="measure shapes whose results are known, too")
    p.add_argument("--export", type=Path, metavar="DIR", help="also write DIR/<arch>/<op>.json, to ship")
    return p


def problems(args: argparse.Namespace, device: "torch.device") -> Iterator["Problem"]:
    """The shapes asked for, largest families first."""
    import torch
    from accel_kernels import problems as p

    pages = [p.page_at_p3(size) for size in args.imgsz]
    for shape in args.shape:
        h, w = (int(n) for n in shape.split("x"))
        pages.append((-(-h // 8), -(-w // 8)))
    for name in args.dtype:
        dtype = getattr(torch, name)
        for scale in args.scale:
            for h3, w3 in pages:
                for b in args.batch:
                    for stage, c, k in zip((1, 2), p.SCALES[scale], (5, 3), strict=True):
                        h, w = -(-h3 // stage), -(-w3 // stage)
                        if "dilated_block" in args.op:
                            yield p.block_problem(b, h, w, c, k, dtype, device)
                        if "dilated_conv2d" in args.op:
                            yield p.conv_problem(b, h, w, c, k, p.DILATIONS[k][-1], dtype, device)
                            yield p.conv_problem(b, h, w, c, 3, 1, dtype, device, epilogue=True)
        if "patch_embed" in args.op and name != "float32":
            for rows in args.patches:
                yield p.patch_problem(rows, args.width, dtype, device)
    if "patch_embed_uint8" in args.op:
        for rows in args.patches:
            yield p.uint8_problem(rows, args.width, device)


def export(path: Path, folder: Path, device: "torch.device") -> None:
    """Merge a user's measurements into folder/<arch>/<op>.json, keeping the defaults that are there."""
    import torch
    from accel_kernels.shape_cache import arch_of, write_json

    data = json.loads(path.read_text("utf-8"))
    target = folder / arch_of(device) / path.name
    if target.exists():
        merged = json.loads(target.read_text("utf-8"))["dtypes"]
        for dtype, by_dtype in data["dtypes"].items():
            families = merged.setdefault(dtype, {}).setdefault("families", {})
            for family, tiers in by_dtype["families"].items():
                for tier, entries in tiers.items():
                    families.setdefault(family, {}).setdefault(tier, {}).update(entries)
        data["dtypes"] = merged
    data["stamp"] |= {"device": torch.cuda.get_device_name(device), "date": time.strftime("%Y-%m-%d")}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, data)
    print(target)


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
