"""``mineru-accel tune``: measure the kernels on this device and remember the fastest per shape.

``--export DIR`` also writes the results as files to ship.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..hardware import gpus
from ..layout.tune import OPS, Shapes, export, tune


def run(argv: list[str]) -> int:
    """Measure, print one line per shape, store the winners; 0 if every shape had a right implementation."""
    args = parser().parse_args(argv)
    import torch
    from accel_kernels.shape_cache import user_file

    if not gpus.usable():
        print("mineru-accel tune measures on a GPU, and torch sees none here", file=sys.stderr)
        return 1
    device = torch.device("cuda", torch.cuda.current_device())
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    failures = tune(shapes(args), device, again=args.again, repeat_ms=args.repeat)
    for op in args.op:
        path = user_file(op, device)
        if path.exists():
            print(path)
            if args.export:
                export(path, args.export, device)
    return 1 if failures else 0


def shapes(args: argparse.Namespace) -> Shapes:
    """The shapes that the arguments name."""
    return Shapes(args.op, args.scale, args.imgsz, args.shape, args.batch, args.patches, args.width, dtypes=args.dtype)


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


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
