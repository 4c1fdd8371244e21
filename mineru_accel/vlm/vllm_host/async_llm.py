"""Functions on vLLM's AsyncLLM, to be called in the process that has it (see `process.apply`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from ...hardware import accelerator
from ...patches import State, status
from ...patches.registry import apply_selected, selected

_WORKER_EXTENSION = "mineru_accel.patches.worker.PatchStates"


def create(arguments: Mapping[str, Any], needed: Collection[str], patches: str) -> Any:
    """Create an AsyncLLM and start its processes; returns when they are ready.

    To be called by one thread of a process at a time: vLLM's configuration goes through module globals.

    Args:
        arguments: of vLLM's engine; those that this vLLM doesn't know are left out.
        needed: names of arguments that must not be left out.
        patches: ``MINERU_ACCEL_PATCHES`` of this process. The engine's processes have theirs from the environment.

    Raises:
        TypeError: if vLLM doesn't know a needed argument.
        Anything that vLLM raises.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    if accelerator.accelerator().kind == "cpu":
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    for package in ("vllm", "mineru-vl-utils"):
        apply_selected(package, patches)
    from mineru_vl_utils.logits_processor.vllm_v1_no_repeat_ngram import VllmV1NoRepeatNGramLogitsProcessor
    from vllm import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    known = AsyncEngineArgs.__dataclass_fields__
    if unknown := sorted(set(needed) - set(known)):
        raise TypeError(f"no such argument of vLLM: {', '.join(unknown)}")
    given = {name: value for name, value in arguments.items() if name in known}
    given.setdefault("logits_processors", [VllmV1NoRepeatNGramLogitsProcessor])
    if selected(patches):
        given.setdefault("worker_extension_cls", _WORKER_EXTENSION)
    config = AsyncEngineArgs(**given).create_engine_config(UsageContext.ENGINE_CONTEXT)
    return AsyncLLM.from_vllm_config(config, disable_log_stats=given.get("disable_log_stats", False))


async def generate_one_token(llm: Any) -> int:
    """Generate one token, to show that the engine is well; returns the number of tokens that came."""
    from vllm import SamplingParams

    one = SamplingParams(max_tokens=1, temperature=0.0, detokenize=False)
    outputs = llm.generate({"prompt_token_ids": [0, 1, 2]}, one, f"health-{uuid.uuid4()}")
    return len([token async for output in outputs for token in output.outputs[0].token_ids])


async def max_sequences(llm: Any) -> int:
    """Maximum number of sequences that are decoded at once."""
    return int(llm.vllm_config.scheduler_config.max_num_seqs)


async def patch_states(llm: Any) -> dict[str, str]:
    """Names of patches -> their states in the (first) worker."""
    states: dict[str, str] = (await llm.collective_rpc("accel_patch_states", 60.0))[0]
    return states


async def missing_patches(llm: Any) -> dict[str, str | None]:
    """Patches of vLLM that are active in this process but not in the worker -> their states there, None if unknown.

    One process sends what the other reads, so that both should have the same patches.
    """
    there = await patch_states(llm)
    here = {each.name for each in status() if each.state is State.ACTIVE and each.name.startswith("vllm-")}
    return {name: there.get(name) for name in sorted(here) if not there.get(name, "").startswith(State.ACTIVE)}


def is_dead(llm: Any) -> bool:
    """Whether an engine has died, or is None."""
    return llm is None or bool(llm.errored)


async def dies(llm: Any) -> bool:
    """Whether an engine whose request failed turns out to be dead within a second, the time vLLM may take to notice."""
    for _ in range(20):
        if is_dead(llm) or any(not process.is_alive() for process in processes(llm)):
            return True
        await asyncio.sleep(0.05)
    return False


def processes(llm: Any) -> list[Any]:
    """The processes of an AsyncLLM of this process."""
    manager = getattr(getattr(getattr(llm, "engine_core", None), "resources", None), "engine_manager", None)
    return list(getattr(manager, "processes", ()))


def shutdown(llm: Any, timeout: float = 10.0) -> None:
    """Stop an engine and make sure that its processes are gone.

    Args:
        timeout: seconds for each step before processes are killed.
    """
    if llm is None:
        return
    running = processes(llm)
    with contextlib.suppress(Exception):
        llm.shutdown(timeout=timeout)
    for process in running:
        with contextlib.suppress(Exception):
            process.join(timeout)
            if process.is_alive():
                process.kill()
                process.join(timeout)


def cancel_output_handler(llm: Any) -> None:
    """To be called in the event loop before `shutdown`: the handler would take it for a crash and print a traceback."""
    if (handler := getattr(llm, "output_handler", None)) is not None:
        handler.cancel()
