"""Measuring the GPU kernels of this project at the shapes that models give them, and keeping the fastest per shape.

The results go to the user's cache (accel_kernels.shape_cache). A result counts only if it is right, and ties go to the
vendor's library.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from accel_kernels.problems import Problem

OPS = ("dilated_block", "dilated_conv2d", "patch_embed", "patch_embed_uint8")


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes to measure."""

    ops: Sequence[str]
    """Names out of ``OPS``."""
    scales: Sequence[str]
    """The layout model's scales: n, s, m."""
    imgsz: Sequence[int]
    """Sizes of the layout model's input, in pixels; pages are A4 portrait."""
    inputs: Sequence[str]
    """Other inputs of the layout model, ``HxW`` in pixels."""
    batches: Sequence[int]
    """Pages in a batch of the layout model."""
    patches: Sequence[int]
    """Rows of the patch embedding."""
    width: int
    """Columns of the patch embedding."""
    dtypes: Sequence[str]
    """Names of torch's types."""


def tune(shapes: Shapes, device: torch.device, *, again: bool, repeat_ms: int) -> int:
    """Measure, print one line per shape, and store the winners.

    Args:
        again: Measure shapes whose results are known, too.
        repeat_ms: Milliseconds spent timing a configuration.

    Returns:
        The number of shapes without a right implementation.
    """
    import torch
    from accel_kernels import tuning
    from accel_kernels.shape_cache import SHAPES

    failures = 0
    for problem in problems(shapes, device):
        known = SHAPES.lookup(problem.op, device, problem.x.dtype, *problem.key)
        if known is not None and known.tier == "user exact" and not again:
            print(f"{problem.title}: known, {known.implementation}")
            continue
        start = time.perf_counter()
        try:
            entry, measured = tuning.tune(problem, repeat_ms=repeat_ms)
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
    return failures


def problems(shapes: Shapes, device: torch.device) -> Iterator[Problem]:
    """The problems of these shapes, largest families first."""
    import torch
    from accel_kernels import problems as p

    for name in shapes.dtypes:
        dtype = getattr(torch, name)
        yield from _layout_problems(shapes, dtype, device)
        if "patch_embed" in shapes.ops and name != "float32":
            for rows in shapes.patches:
                yield p.patch_problem(rows, shapes.width, dtype, device)
    if "patch_embed_uint8" in shapes.ops:
        for rows in shapes.patches:
            yield p.uint8_problem(rows, shapes.width, device)


def _layout_problems(shapes: Shapes, dtype: torch.dtype, device: torch.device) -> Iterator[Problem]:
    """The dilated blocks of the layout model, and single convolutions of theirs."""
    from accel_kernels import problems as p

    pages = [p.page_at_p3(size) for size in shapes.imgsz]
    for text in shapes.inputs:
        height, width = (int(n) for n in text.split("x"))
        pages.append((-(-height // 8), -(-width // 8)))
    for scale in shapes.scales:
        for h3, w3 in pages:
            for b in shapes.batches:
                for stage, c, k in zip((1, 2), p.SCALES[scale], (5, 3), strict=True):
                    h, w = -(-h3 // stage), -(-w3 // stage)
                    if "dilated_block" in shapes.ops:
                        yield p.block_problem(b, h, w, c, k, dtype, device)
                    if "dilated_conv2d" in shapes.ops:
                        yield p.conv_problem(b, h, w, c, k, p.DILATIONS[k][-1], dtype, device)
                        yield p.conv_problem(b, h, w, c, 3, 1, dtype, device, epilogue=True)


def export(path: Path, folder: Path, device: torch.device) -> None:
    """Merge a user's measurements into folder/<arch>/<op>.json over the defaults there, and print its path."""
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
