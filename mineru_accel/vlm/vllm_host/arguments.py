"""Arguments of vLLM's engine for MinerU's crops: our defaults for this machine, and the user's own on top."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from ...errors import UsageError
from ...hardware.accelerator import Accelerator, version_of
from ..errors import EngineError

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
_STEP_TOKENS = 4096
"""Tokens of a step on large GPUs: some eleven crops beside the sequences that decode."""
_FULL_GRAPHS = "sm_90", Version("0.28")
"""Arch and first version of vLLM for which one CUDA graph holds a whole step with its attention. That needs
FlashAttention 3, which vLLM takes on Hopper alone; older versions were not tried with graphs of 4096 tokens."""
CPU: dict[str, Any] = {
    "enforce_eager": True,
    "max_num_seqs": 16,
    "max_model_len": 8192,
}
_MIN_CAPABILITY, _MIN_GIB, _MIN_CORES = 90, 60.0, 16
"""Compute capability times ten, memory and cores of a GPU from which on two replicas share it."""
_CACHE_GIB, _OTHER_GIB = 12.0, 8.0
"""Memory for keys and values (of a million tokens) of each replica that shares a GPU, and for everything else of it:
weights 2.2, CUDA graphs 1.4 to 1.9 on an H200, and work space."""
_SHARING = {
    *("gpu_memory_utilization", "kv_cache_memory_bytes", "num_gpu_blocks_override", "device_ids"),
    *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
}
"""Arguments by which users divide a machine themselves."""


def replicas_per_gpu(accelerator: Accelerator, memory_gib: float, cores: float, given: Mapping[str, Any]) -> int:
    """Number of replicas to start on each GPU.

    Two on large GPUs from Hopper on with plenty of cores, unless the user's arguments divide the machine: one engine's
    thread of Python can't keep such a GPU busy. On an H200 (140 GiB, 16 cores for each GPU) two converted 19.1 pages/s
    and one 14.5 to 16.3 (docs/history.md). Other GPUs were not measured; two replicas fit into 60 GiB.

    Args:
        memory_gib: of each GPU.
        cores: of the machine, for each GPU.
        given: the user's arguments of vLLM's engine.
    """
    fast = accelerator.kind == "cuda" and int(accelerator.arch.removeprefix("sm_")) >= _MIN_CAPABILITY
    return 2 if fast and memory_gib >= _MIN_GIB and cores >= _MIN_CORES and not _SHARING & given.keys() else 1


def engine_arguments(
    accelerator: Accelerator, memory_gib: float, replicas: int, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The user's arguments over our `defaults`, without those of ours that contradict them.

    Raises:
        EngineError: if replicas share a GPU and each is to take more than its share of the memory.
    """
    ours = defaults(accelerator, memory_gib, replicas)
    config = ours.get("compilation_config", {})
    if _names_graphs(given):
        config.pop("cudagraph_capture_sizes", None)
    if "optimization_level" in given or "mode" in _compilation(given):  # these decide how much graphs hold
        config.pop("cudagraph_mode", None)
    if "gpu_memory_utilization" in given:
        ours.pop("kv_cache_memory_bytes", None)
        each = given["gpu_memory_utilization"]
        if memory_gib and isinstance(each, int | float) and each * replicas > 1:
            raise EngineError(f"gpu_memory_utilization={each} is of each engine, and {replicas} share a GPU")
    return merge(ours, given)


def defaults(accelerator: Accelerator, memory_gib: float = 0.0, replicas: int = 1) -> dict[str, Any]:
    """Our arguments for an engine on a GPU that ``replicas`` engines share, or on a CPU.

    Args:
        memory_gib: of the GPU; 0 if unknown.
    """
    if accelerator.kind == "cpu":
        return COMMON | CPU
    arguments = COMMON | CUDA
    if memory_gib and memory_gib < 30:  # consumer cards: smaller batches saturate them
        arguments |= {"max_num_seqs": 128, "max_num_batched_tokens": 4096, "gpu_memory_utilization": 0.75}
    elif accelerator.kind == "cuda":
        config: dict[str, Any] = {"cudagraph_capture_sizes": cuda_graph_sizes(_STEP_TOKENS)}
        arch, since = _FULL_GRAPHS
        vllm = version_of("vllm")
        if accelerator.arch == arch and vllm is not None and vllm >= since:
            config["cudagraph_mode"] = "FULL"
        arguments |= {"max_num_batched_tokens": _STEP_TOKENS, "compilation_config": config}
    share = arguments["gpu_memory_utilization"] / replicas
    arguments["gpu_memory_utilization"] = round(share, 3)
    cache = min(_CACHE_GIB, memory_gib * share - _OTHER_GIB)
    if replicas > 1 and cache >= 2:  # given, not measured by vLLM, so that replicas may start at the same time
        arguments["kv_cache_memory_bytes"] = int(cache * 2**30)
    return arguments


def _names_graphs(given: Mapping[str, Any]) -> bool:
    """Whether the user's arguments name the sizes of CUDA graphs; vLLM refuses several of them together."""
    names = {"cudagraph_capture_sizes", "max_cudagraph_capture_size"}
    return bool(names & (given.keys() | _compilation(given).keys()))


def _compilation(given: Mapping[str, Any]) -> Mapping[str, Any]:
    config = given.get("compilation_config")
    return config if isinstance(config, Mapping) else {}


def cuda_graph_sizes(tokens: int) -> list[int]:
    """Sizes of the language model's CUDA graphs, in tokens, up to ``tokens``.

    vLLM's own end at 512, so that each step with a new crop is launched kernel by kernel, which takes the host longer
    than the GPU.
    """
    return [1, 2, 4, *range(8, 513, 8), *range(640, 2048, 128), *range(2048, tokens + 1, 256)]


def merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``more`` over ``base``; dictionaries are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse(texts: Iterable[str]) -> dict[str, Any]:
    """Nested arguments from texts such as ``compilation_config.cudagraph_mm_encoder=true``.

    Values are JSON where they parse as JSON, else text. Dashes in names may stand for underscores.

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
    """``max_position_embeddings`` of a checkpoint; None if its config has none."""
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return (config.get("text_config") or config).get("max_position_embeddings")
