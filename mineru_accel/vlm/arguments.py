"""Arguments of vLLM's engine for MinerU's crops: our defaults for this machine, and the user's own on top."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError

COMMON: dict[str, Any] = {
    "limit_mm_per_prompt": {"image": 1, "video": 0},
    # a crop is never seen twice: hashing and caching it costs more than it brings
    "mm_processor_cache_gb": 0,
    "enable_prefix_caching": False,
    "disable_log_stats": True,
    "max_model_len": 16384,
}
CUDA: dict[str, Any] = {
    "max_num_seqs": 512,
    "max_num_batched_tokens": 8192,
    "renderer_num_workers": 4,
    "gpu_memory_utilization": 0.6,
}
_STEP = 4096
"""Tokens of a step on large GPUs: some eleven crops beside what is being decoded."""
CPU: dict[str, Any] = {
    "enforce_eager": True,
    "max_num_seqs": 16,
    "max_model_len": 8192,
}


def defaults(kind: str, memory_gib: float = 0.0, replicas: int = 1) -> dict[str, Any]:
    """What an engine is started with on ``kind`` (cuda, hip or cpu) with so much memory, shared by so many replicas."""
    if kind == "cpu":
        return COMMON | CPU
    arguments = COMMON | CUDA
    if memory_gib and memory_gib < 30:  # consumer cards: smaller batches saturate them
        arguments |= {"max_num_seqs": 128, "max_num_batched_tokens": 4096, "gpu_memory_utilization": 0.75}
    elif kind == "cuda":
        arguments |= {"max_num_batched_tokens": _STEP, "compilation_config": {"cudagraph_capture_sizes": graphs(_STEP)}}
    arguments["gpu_memory_utilization"] = round(arguments["gpu_memory_utilization"] / replicas, 3)
    return arguments


def names_graphs(given: Mapping[str, Any]) -> bool:
    """Whether the user's arguments say which CUDA graphs there are; vLLM takes one way of saying so only."""
    names = {"cudagraph_capture_sizes", "max_cudagraph_capture_size"}
    config = given.get("compilation_config")
    return bool(names & given.keys()) or bool(isinstance(config, Mapping) and names & config.keys())


def graphs(tokens: int) -> list[int]:
    """Sizes of the language model's CUDA graphs, in tokens: vLLM's own end at 512, so that every step with a new crop
    in it is launched kernel by kernel, which takes the host longer than the GPU."""
    return [1, 2, 4, *range(8, 513, 8), *range(640, 2048, 128), *range(2048, tokens + 1, 256)]


def merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``more`` over ``base``; dictionaries are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse(texts: Iterable[str]) -> dict[str, Any]:
    """``["max_num_seqs=256", "compilation_config.cudagraph_mm_encoder=true"]`` -> nested arguments; values are JSON
    where they parse as JSON, text otherwise; dashes in names may stand for underscores.

    Raises:
        UsageError: if there is no ``=`` or no name.
    """
    arguments: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        path = name.strip().removeprefix("--").replace("-", "_").split(".")
        if not equals or not all(path):
            raise UsageError(f"--vllm-arg {text!r}: expected key=value")
        try:
            parsed: Any = json.loads(value)
        except ValueError:
            parsed = {"True": True, "False": False, "None": None}.get(value, value)
        for key in reversed(path[1:]):
            parsed = {key: parsed}
        arguments = merge(arguments, {path[0]: parsed})
    return arguments


def longest_context(model: Path) -> int | None:
    """max_position_embeddings of a checkpoint, None if its config does not say."""
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return (config.get("text_config") or config).get("max_position_embeddings")
