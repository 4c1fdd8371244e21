"""What ``mineru-accel bench`` measures: each benchmark is a module with ``run(argv) -> int``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..errors import EXIT_OK, EXIT_USAGE

BENCHMARKS = {
    "pipeline": "whole conversions, beside MinerU, docling and Flash-MinerU",
    "quality": "text, tables, reading order and layout against a ground truth, beside the same",
    "layout": "the layout model from decoded page to boxes, beside doclayout_yolo and torch.compile (needs a GPU)",
    "vlm": "the VLM's engine: vLLM's defaults, its encoder graphs, ours (needs a GPU, vLLM and a checkpoint)",
    "tower": "the VLM's vision tower alone, part by part (the same)",
    "vlm-pipeline": "conversions with the VLM, beside MinerU's own flow (needs a GPU to mean anything)",
    "kernels": "the Triton kernels, beside cuDNN, cuBLAS and torch.compile (needs a GPU)",
    "peers": "the other systems: what is installed here, and how to install them",
    "plot": "SVG plots of reports that were written with --out or --json",
}


def run(argv: Sequence[str]) -> int:
    """Run the benchmark that the first argument names."""
    if argv and argv[0] in BENCHMARKS:
        return _find(argv[0])(list(argv[1:]))
    asked = bool(argv) and argv[0] in ("-h", "--help")
    lines = ["usage: mineru-accel bench NAME [options]", ""] + [f"  {n:<10} {t}" for n, t in BENCHMARKS.items()]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return EXIT_OK if asked else EXIT_USAGE


def _find(name: str) -> Callable[[list[str]], int]:
    """The function of a benchmark; only its own module is imported."""
    if name == "pipeline":
        from .systems.pipeline import run
    elif name == "quality":
        from .quality.command import run
    elif name == "layout":
        from .layout.command import run
    elif name == "vlm":
        from .vlm.engine import run
    elif name == "tower":
        from .vlm.tower import run
    elif name == "vlm-pipeline":
        from .vlm.pipeline import run
    elif name == "kernels":
        from .layout.kernels import run
    elif name == "peers":
        from .systems.peers import run
    else:
        from .report.plot import run
    return run
