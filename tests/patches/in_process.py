"""vLLM in the test's own process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@contextlib.contextmanager
def llm(checkpoint: Path, **arguments: Any) -> Iterator[Any]:
    """An `LLM` on the CPU in float32, without graphs and caches. Patches of it must be there before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_LOGGING_LEVEL", "ERROR")
        from vllm import LLM
        from vllm.distributed import cleanup_dist_env_and_memory

        found = LLM(
            str(checkpoint), dtype="float32", enforce_eager=True, limit_mm_per_prompt={"image": 1, "video": 0},
            mm_processor_cache_gb=0, enable_prefix_caching=False, disable_log_stats=True, **arguments,
        )  # fmt: skip
        yield found
    found.llm_engine.engine_core.engine_core.shutdown()
    cleanup_dist_env_and_memory()
