"""``mineru-accel bench layout``: the layout model on a GPU, from its layers to whole pages, beside what it replaces.

Times are medians; "forward" is a replayed graph (device time only), all others are wall time. Pages are white A4
sheets with random blocks unless ``--pages`` names a folder of page images. With ``--random SCALE`` the model is one of
doclayout_yolo's with random weights (speed does not depend on them), and the package itself can be measured beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import EXIT_FAILED, EXIT_OK
from ...hardware import gpus
from ..report.output import add_output, finish
from . import network_parts, package_predict, page_parts, tile_tuning
from .benchmark import LayoutBenchmark

PARTS: dict[str, Callable[[LayoutBenchmark], None]] = {
    "tune": tile_tuning.tune,
    "correct": network_parts.correct,
    "forward": network_parts.forward,
    "layers": network_parts.layers,
    "pages": page_parts.pages,
    "sizes": page_parts.sizes,
    "parity": page_parts.parity,
    "predict": package_predict.predict,
    "compile": network_parts.compile_unmodified,
}
"""In the order they run."""
_SLOW = ("tune", "compile")


def run(argv: Sequence[str]) -> int:
    """Run the parts that ``--parts`` names; 1 if a part failed or a result was wrong."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench layout", description=__doc__)
    parser.add_argument("--weights", type=Path, help="a checkpoint; default: the embedded model")
    parser.add_argument("--random", choices=("n", "s", "m"), help="random weights of this scale (needs doclayout_yolo)")
    parser.add_argument("--imgsz", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 16, 32], help="default: 1 8 16 32")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[p for p in PARTS if p not in _SLOW],
                        help="tune: measure tile sizes first; compile: torch.compile of the unmodified model (minutes)"
                        )  # fmt: skip
    parser.add_argument(
        "--compile-batch", type=int, nargs="+", default=[8], help="default: 8 (32 takes several times as long)"
    )
    parser.add_argument("--tune-batch", type=int, nargs="+", default=[1, 8], help="batch sizes to tune; default: 1 8")
    parser.add_argument("--chunk", type=int, nargs="+", default=[8], help="pages a launch of the engine; default: 8")
    parser.add_argument("--pages", type=Path, help="a folder of page pictures, for parity and whole pages")
    parser.add_argument("--reference", type=Path, help="boxes of those pages from elsewhere (JSON), for parity")
    parser.add_argument("--sizes", type=int, default=1000, help="page sizes of the memory test; default: %(default)s")
    add_output(parser)
    args = parser.parse_args(argv)
    import torch

    if not gpus.usable():
        print("mineru-accel bench layout measures on a GPU, and torch sees none here", file=sys.stderr)
        return EXIT_FAILED
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    bench = LayoutBenchmark(args)
    for name, measure in PARTS.items():
        if name in args.parts:
            bench.run_part(name, measure)
    print("\n" + "\n".join(bench.summary))
    finish(bench.report(argv), args, printed=True)
    return EXIT_FAILED if bench.failed else EXIT_OK


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
