"""Configurations of the VLM's engine that ``bench vlm`` compares."""

from __future__ import annotations

from typing import Any

from ...errors import UsageError
from ...hardware import accelerator
from ...patches import selected
from ...vlm.vllm_host.arguments import cuda_graph_sizes, merge

MINERU_ARGUMENTS = {
    "limit_mm_per_prompt": {"image": 1, "video": 0},
    "max_num_seqs": 512,
    "max_model_len": 8192,
    "mm_processor_cache_gb": 0,
    "enable_prefix_caching": False,
    "disable_log_stats": True,
    "gpu_memory_utilization": 0.5,
}
"""vLLM's defaults as MinerU starts it, with caches off because every crop is new."""
SHARED_GPU_ARGUMENTS = {"gpu_memory_utilization": 0.09, "kv_cache_memory_bytes": 4 << 30}
"""For up to nine engines on one H200: 4 GiB hold the keys and values of 350 000 tokens."""
_PIECEWISE_GRAPHS = {"compilation_config": {"cudagraph_mode": "FULL_AND_PIECEWISE"}}
"""vLLM's default: CUDA graphs from attention to attention for steps that read crops (ours on Hopper hold all)."""
_RUNNER_PROCESS = {"distributed_executor_backend": "mp"}
"""The scheduler in one process and the model's runner in another: each step's Python on two cores."""


def configurations() -> dict[str, dict[str, Any]]:
    """Entries of each configuration's job by name: any of "args", "patches", "replicas", "devices", "ours", "env", or
    the options that all jobs have (crops, in_flight, repeats). With "ours" the arguments are added to those of this
    package's engine."""
    graphs = {"compilation_config": {"cudagraph_mm_encoder": True}}
    return {
        "defaults": {"args": MINERU_ARGUMENTS, "patches": "none"},
        "graphs": {"args": merge(MINERU_ARGUMENTS, graphs), "patches": "none"},
        "ours": {"ours": True},
        "ours-2": {"ours": True, "replicas": 2},
        "ours-3": {"ours": True, "replicas": 3},
        "pieces": {"ours": True, "args": _PIECEWISE_GRAPHS},
        "worker": {"ours": True, "args": _RUNNER_PROCESS},
        "ours-v2": {"ours": True, "args": {"logits_processors": []}},  # vLLM's second model runner takes no processors
        "ours-8k": {"ours": True, "args": _step_arguments(8192)},
        "ours-3k": {"ours": True, "args": _step_arguments(3072)},
        "launched": {"ours": True, "args": _step_arguments(8192, up_to=512)},  # mixed steps kernel by kernel
        "one-process": {"ours": True, "apart": False},
        "ours-1024": {"ours": True, "args": {"max_num_seqs": 1024}},
        "ours-256": {"ours": True, "args": {"max_num_seqs": 256}},
        "unfused": {"ours": True, "patches": _all_patches_but("vllm-vit-fused")},
        "two-frames": {"ours": True, "patches": _all_patches_but("vllm-uint8-pixels")},
        "graphs-mended": {"ours": True, "patches": "vllm-fast-processor,vllm-vit-graphs"},
        "eager": {"ours": True, "patches": _all_patches_but("vllm-vit-graphs")},
        "streamed": {"ours": True, "patches": _all_patches_but("vllm-final-outputs")},
        "scheduled": {"ours": True, "patches": _all_patches_but("vllm-decode-steps")},
        "processor": {"ours": True, "patches": "vllm-fast-processor"},
        "unpatched": {"ours": True, "patches": "none"},
        "float32": {"args": merge(MINERU_ARGUMENTS, {"dtype": "float32"}), "patches": "none"},
    }


def _step_arguments(tokens: int, up_to: int | None = None) -> dict[str, Any]:
    """Arguments for a maximum number of tokens per step, with CUDA graphs up to that size or up to ``up_to`` tokens."""
    config = {"cudagraph_capture_sizes": cuda_graph_sizes(up_to or tokens)}
    return {"max_num_batched_tokens": tokens, "compilation_config": config}


def _all_patches_but(patch: str) -> str:
    """All patches but one, as the value of MINERU_ACCEL_PATCHES."""
    return ",".join(name for name in selected("auto") if name != patch)


def gpu_scaling(text: str) -> dict[str, Any]:
    """The configuration that compares numbers of GPUs.

    Args:
        text: the numbers, like ``1,2``.

    Raises:
        UsageError: if ``text`` is not a list of positive numbers, or the machine has fewer GPUs.
    """
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise UsageError(f"--gpus {text}: expected numbers of GPUs, like 1,2")
    if accelerator.accelerator().kind == "cpu":
        return {"ours": True, "gpus": counts, "replicas": max(counts)}
    import torch

    if (there := torch.cuda.device_count()) < max(counts):
        raise UsageError(f"--gpus {text}: {there} are there")
    return {"ours": True, "gpus": counts, "devices": list(range(max(counts)))}
