"""Benchmarks of ``mineru-accel bench``. The benchmark NAME is ``run(argv) -> int`` of a module ``bench_NAME``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..errors import EXIT_OK, EXIT_USAGE

# Each benchmark imports its module when it runs: some need torch, vLLM or other optional packages.


def _pipeline(argv: Sequence[str]) -> int:
    from .systems import bench_pipeline

    return bench_pipeline.run(argv)


def _quality(argv: Sequence[str]) -> int:
    from .quality import bench_quality

    return bench_quality.run(argv)


def _layout(argv: Sequence[str]) -> int:
    from .layout import bench_layout

    return bench_layout.run(argv)


def _vlm(argv: Sequence[str]) -> int:
    from .vlm import bench_vlm

    return bench_vlm.run(argv)


def _tower(argv: Sequence[str]) -> int:
    from .vlm import bench_tower

    return bench_tower.run(argv)


def _vlm_pipeline(argv: Sequence[str]) -> int:
    from .vlm import bench_vlm_pipeline

    return bench_vlm_pipeline.run(argv)


def _kernels(argv: Sequence[str]) -> int:
    from .layout import bench_kernels

    return bench_kernels.run(argv)


def _peers(argv: Sequence[str]) -> int:
    from .systems import bench_peers

    return bench_peers.run(argv)


def _plot(argv: Sequence[str]) -> int:
    from .report import bench_plot

    return bench_plot.run(argv)


BENCHMARKS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "pipeline": (_pipeline, "whole conversions, beside MinerU, docling and Flash-MinerU"),
    "quality": (_quality, "text, tables, reading order and layout against a ground truth, beside the same"),
    "layout": (
        _layout,
        "the layout model from decoded page to boxes, beside doclayout_yolo and torch.compile (needs a GPU)",
    ),
    "vlm": (_vlm, "the VLM's engine: vLLM's defaults, its encoder graphs, ours (needs a GPU, vLLM and a checkpoint)"),
    "tower": (_tower, "the VLM's vision tower alone, part by part (the same)"),
    "vlm-pipeline": (
        _vlm_pipeline,
        "conversions with the VLM, beside MinerU's own flow (needs a GPU to mean anything)",
    ),
    "kernels": (_kernels, "the Triton kernels, beside cuDNN, cuBLAS and torch.compile (needs a GPU)"),
    "peers": (_peers, "the other systems: what is installed here, and how to install them"),
    "plot": (_plot, "SVG plots of reports that were written with --out or --json"),
}
"""Function and description of each benchmark, by name."""


def run(argv: Sequence[str]) -> int:
    """Run the benchmark that the first argument names."""
    if argv and argv[0] in BENCHMARKS:
        benchmark, _ = BENCHMARKS[argv[0]]
        return benchmark(argv[1:])
    asked = bool(argv) and argv[0] in ("-h", "--help")
    lines = ["usage: mineru-accel bench NAME [options]", ""] + [f"  {n:<12} {t}" for n, (_, t) in BENCHMARKS.items()]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return EXIT_OK if asked else EXIT_USAGE
