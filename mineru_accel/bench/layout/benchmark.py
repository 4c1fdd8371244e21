"""State that the parts of ``bench layout`` share: the model and the results."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from ..report.report import Chart, Column, Report
from .benchmark_model import BenchmarkModel

COLUMNS = (Column("case", "what"), Column("system", "system"), Column("pages_per_s", "pages/s", ".1f"))


class LayoutBenchmark:
    """The model under test, and the results of all parts so far."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.model = BenchmarkModel(args)
        self.summary: list[str] = []
        self.results: dict[str, Any] = {}
        self.failed: list[str] = []

    def run_part(self, name: str, measure: Callable[[LayoutBenchmark], None]) -> None:
        """Run one part. A failure is printed and recorded; the other parts still run."""
        import torch

        print(f"\n## {name} ({self.model.name})", flush=True)
        began = time.perf_counter()
        try:
            measure(self)
            torch.cuda.synchronize()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            self.failed.append(name)
            self.print_result(f"{name}: FAILED")
        torch.cuda.empty_cache()
        print(f"({name}: {time.perf_counter() - began:.1f} s)", flush=True)
        self._save()

    def print_result(self, line: str) -> None:
        """Print a line, and keep it for the summary at the end."""
        print(line, flush=True)
        self.summary.append(line)
        self._save()

    def _save(self) -> None:
        """Write the results so far: a later part may run out of time."""
        if self.args.out:
            self.args.out.mkdir(parents=True, exist_ok=True)
            (self.args.out / "layout.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def report(self, argv: Sequence[str]) -> Report:
        """Report with pages/s of the parts that ran; all other results are under ``settings``."""
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
