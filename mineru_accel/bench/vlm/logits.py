"""Whether engines compute the same: errors of the first token's logits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from ...vlm.vllm_host.process import apply
from . import engine_requests

TOLERANCE = 1e-2
"""Maximum relative error of the first token's logits."""
_COMPARED, _TOTAL = 4, 64
"""Crops whose logits are compared, and crops in all."""
Logits = list[dict[str, float]]
"""The greatest logits by token, one dictionary per crop."""


async def compare_logits(llm: Any, images: list[Any], reference: Path, job: dict[str, Any]) -> float:
    """Relative error of the first token's logits of four crops, each alone and all among other crops' requests.

    Args:
        llm: the engine, here or in a process of its own.
        images: PIL images; the first four are compared, the next 60 are the others.
        reference: JSON file with the first configuration's logits; written if it is missing.
        job: entries "name" and "ours".
    """
    first, ours = engine_requests.first_logits, bool(job.get("ours"))
    pictures, others = images[:_COMPARED], images[_COMPARED:_TOTAL]
    alone: Logits = [await apply(llm, first, picture, f"compare-{i}", ours) for i, picture in enumerate(pictures)]
    reference.parent.mkdir(parents=True, exist_ok=True)
    for path in (reference.with_name(f"logits-{job['name']}.json"), *(() if reference.exists() else (reference,))):
        path.write_text(json.dumps(alone), encoding="utf-8")
    answers = [apply(llm, engine_requests.answer, p, f"beside-{i}", 8, False, ours) for i, p in enumerate(others)]
    among = [apply(llm, first, p, f"among-{i}", ours) for i, p in enumerate(pictures)]
    half = len(answers) // 2
    crowd = await asyncio.gather(*answers[:half], *among, *answers[half:])
    expected = json.loads(reference.read_text(encoding="utf-8"))
    return max(logit_error(found, expected) for found in (alone, crowd[half : half + len(among)]))


def logit_error(logits: Logits, reference: Logits) -> float:
    """Greatest relative error of all crops; infinite if a crop shares less than half of the reference's tokens."""
    errors = []
    for found, expected in zip(logits, reference, strict=True):
        common = found.keys() & expected.keys()
        if len(common) < len(expected) / 2:
            return float("inf")
        difference = sum((found[t] - expected[t]) ** 2 for t in common)
        errors.append((difference / sum(expected[t] ** 2 for t in common)) ** 0.5)
    return max(errors)


def against_float32(folder: Path) -> str:
    """A line with each configuration's error against float32's logits; empty if those have not been computed."""
    files = {path.stem.removeprefix("logits-"): path for path in sorted(folder.glob("logits-*.json"))}
    known = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items()}
    truth = known.pop("float32", None)
    if truth is None:
        return ""
    return "\nlogits against float32: " + ", ".join(
        f"{name} {logit_error(of, truth):.1e}" for name, of in known.items()
    )
