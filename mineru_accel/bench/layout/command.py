"""``mineru-accel bench layout``: the layout model on a GPU, from its layers to whole pages, beside what it replaces.

Times are medians; "forward" is a replayed graph (device time only), everything else is wall time. Pages are white A4
sheets with random blocks unless ``--pages`` names a folder of pictures. With ``--random SCALE`` the model is one of
doclayout_yolo's with random weights (speed does not depend on them), and the package itself can be measured beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_FAILED, EXIT_OK
from ...hardware import gpus
from ..report.model import Chart, Column, Report, add_output, finish
from . import network, pages
from .model import LayoutModel

COLUMNS = (Column("case", "what"), Column("system", "system"), Column("pages_per_s", "pages/s", ".1f"))
PARTS: dict[str, Callable[[Bench], None]] = {
    "tune": network.tune,
    "correct": network.correct,
    "forward": network.forward,
    "layers": network.layers,
    "pages": pages.pages,
    "sizes": pages.sizes,
    "parity": pages.parity,
    "predict": pages.predict,
    "compile": network.compile_unmodified,
}
"""In the order they run."""
_SLOW = ("tune", "compile")


def run(argv: Sequence[str]) -> int:
    """Measure what ``--parts`` names; 1 if a part failed or a result was wrong."""
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
    bench = Bench(args)
    for name, measure in PARTS.items():
        if name in args.parts:
            bench.part(name, measure)
    print("\n" + "\n".join(bench.summary))
    finish(bench.report(argv), args, printed=True)
    return EXIT_FAILED if bench.failed else EXIT_OK


class Bench:
    """What the parts share: the model, and where results go."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.model = LayoutModel(args)
        self.summary: list[str] = []
        self.results: dict[str, Any] = {}
        self.failed: list[str] = []

    def part(self, name: str, measure: Callable[[Bench], None]) -> None:
        """Run one part; its failure is reported and costs no other."""
        import torch

        print(f"\n## {name} ({self.model.name})", flush=True)
        began = time.perf_counter()
        try:
            measure(self)
            torch.cuda.synchronize()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            self.failed.append(name)
            self.say(f"{name}: FAILED")
        torch.cuda.empty_cache()
        print(f"({name}: {time.perf_counter() - began:.1f} s)", flush=True)
        self._save()

    def say(self, line: str) -> None:
        """Print a line now and again in the summary."""
        print(line, flush=True)
        self.summary.append(line)
        self._save()

    def _save(self) -> None:
        """What is known so far: a later part may run out of time."""
        if self.args.out:
            self.args.out.mkdir(parents=True, exist_ok=True)
            (self.args.out / "layout.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def report(self, argv: Sequence[str]) -> Report:
        """Pages a second of whatever parts were run; everything else that was measured under ``settings``."""
        report = Report("layout", COLUMNS, Chart("Layout model", "pages_per_s", "pages/s"), argv)
        report.settings = {"model": self.model.name, "parts": self.results, "failed parts": self.failed}
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
            elif kind == "patched" and isinstance(value, float):
                rates.append((f"whole pages, {what}", "doclayout_yolo predict, patched", value))
            elif kind == "compile":
                rates.append((f"network alone, batch {what}", "torch.compile(max-autotune)", 1e3 * int(what) / value))
        for case, system, rate in sorted(rates, key=lambda r: r[0]):
            report.rows.append(
                {"case": f"layout, {self.model.name}: {case}", "system": system, "pages_per_s": round(rate, 1)}
            )
        return report


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
