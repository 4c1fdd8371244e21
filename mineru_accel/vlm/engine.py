"""vLLM in this process' care: started, watched, started again, and never left behind.

::

    engine = VllmEngine(model, args={"max_num_seqs": 256})
    await engine.start()
    text = await engine.run("page 7", lambda replica: ask(replica.llm))    # put back if the engine dies
    await engine.close()

``engine.llms`` are ``vllm.v1.engine.async_llm.AsyncLLM`` objects, one a replica, which MinerUClient takes as its
``vllm_async_llm``; after a restart they are new ones, and ``engine.generation`` is greater. `run` hands out the replica
with the least to do and its present AsyncLLM. Everything here belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from ..patches import State, machine, status
from ..patches.registry import SWITCH, apply_selected, selected
from . import lifeline
from .arguments import defaults, longest_context, merge
from .errors import EngineDied, EngineError

T = TypeVar("T")
RESTARTS = 5
"""Restarts of an engine within `WINDOW` seconds; one more death and it stays dead."""
WINDOW = 1800.0
_WORKER_STATES = "mineru_accel.patches.worker.PatchStates"
_configuring = threading.Lock()
"""vLLM's configuration goes through module globals: one at a time."""


@dataclass(eq=False)
class Replica:
    """One AsyncLLM with its processes."""

    index: int
    device: int | None
    """Which GPU; None on a CPU."""
    llm: Any = None
    """``vllm.v1.engine.async_llm.AsyncLLM``; another object after a restart."""
    generation: int = 0
    """Number of starts."""
    busy: int = 0
    """Calls of `VllmEngine.run` in flight."""
    gate: _Gate = field(default_factory=lambda: _Gate())
    restarting: asyncio.Lock = field(default_factory=asyncio.Lock)


class VllmEngine:
    """An engine of one or more replicas.

    Args:
        model: folder of the checkpoint.
        args: arguments of vLLM's engine over our defaults (`arguments.defaults`); dictionaries are merged.
        replicas: on each GPU, or "auto": as many as measured best.
        patches: what ``MINERU_ACCEL_PATCHES`` is for this engine's processes (and this one): auto, none, or names.
        devices: GPUs by number; None for all that torch sees.

    Engines of different GPUs start at once; those of one GPU one after the other, since each measures the memory that
    is left, unless ``kv_cache_memory_bytes`` says how much each may have.

    A dead engine is started again by the next `run` or `restart`, at most `RESTARTS` times in `WINDOW` seconds.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        args: Mapping[str, Any] | None = None,
        replicas: int | str = "auto",
        patches: str = "auto",
        devices: list[int] | None = None,
    ) -> None:
        self.model = Path(model)
        self.args = dict(args or {})
        self.patches = patches
        self._per_device = 1 if replicas == "auto" else int(replicas)
        self._devices = devices
        self._environment = _Environment({SWITCH: patches, lifeline.VARIABLE: lifeline.offer()})
        self._deaths: list[float] = []
        self._closed = False
        self.replicas: list[Replica] = []

    @property
    def llm(self) -> Any:
        """The first replica's AsyncLLM."""
        return self.replicas[0].llm

    @property
    def llms(self) -> list[Any]:
        """Every replica's AsyncLLM."""
        return [replica.llm for replica in self.replicas]

    @property
    def generation(self) -> int:
        """Increases whenever any replica starts."""
        return sum(replica.generation for replica in self.replicas)

    async def start(self) -> None:
        """Start every replica; returns when all answer.

        Raises:
            EngineError: if vLLM is missing or refuses the arguments, or the model doesn't fit.
        """
        try:
            import vllm  # noqa: F401
        except ImportError as error:
            raise EngineError(f"vLLM can't be imported ({error}): pip install 'mineru-accel[vllm]'") from error
        if not (self.model / "config.json").is_file():
            raise EngineError(f"{self.model}: no checkpoint there (config.json is missing)")
        kind = machine.accelerator().kind
        devices: list[int | None] = [None] if kind == "cpu" else list(self._devices or range(_gpus()))
        self.replicas = [Replica(i, device) for i, device in enumerate(devices * self._per_device)]
        atexit.register(self._kill)
        try:
            with self._environment:
                await asyncio.gather(*(self._launch_all(batch) for batch in self._batches(devices)))
            await self._compare_patches()
        except BaseException:
            await self.close()
            raise

    async def run(self, key: str, work: Callable[[Replica], Awaitable[T]]) -> T:
        """Do ``work`` on a replica, again if the engine dies under it.

        The second time it runs alone on its replica, so that whoever kills an engine twice is known for certain.

        Raises:
            EngineDied: if the engine died under it twice (the page is to be given up), or may not be restarted again.
            Anything that ``work`` raises while the engine lives.
        """
        for alone in (False, True):
            replica = min(self.replicas, key=lambda r: (r.gate.closed, r.busy))
            replica.busy += 1
            try:
                async with replica.gate.alone() if alone else replica.gate.shared():
                    await self._alive(replica)
                    llm = replica.llm
                    try:
                        result = await work(replica)
                    except Exception as error:
                        if not _dead(llm) and not await _dies(llm):
                            raise
                        logger.warning("engine {} died under {}: {}", replica.index, key, _line(error))
                    else:
                        if not _dead(llm):
                            return result
                        logger.warning("engine {} died under {}", replica.index, key)
            finally:
                replica.busy -= 1
        raise EngineDied(f"{key}: killed the engine twice")

    async def restart(self, replica: Replica) -> None:
        """Start a replica anew, if it is dead or does not answer.

        Raises:
            EngineDied: if it has been restarted too often, or can't be.
        """
        if _dead(replica.llm) or not await self._answers(replica, 60.0):
            _shutdown(replica.llm)
            replica.llm = None
        await self._alive(replica)

    async def patch_states(self) -> list[dict[str, str]]:
        """For each replica's (first) worker: name of a patch -> its state in that process."""
        if not selected(self.patches) or "worker_extension_cls" in self.args:
            return []
        answers = [await llm.collective_rpc("accel_patch_states", 60.0) for llm in self.llms]
        return [answer[0] for answer in answers]

    async def close(self) -> None:
        """Stop every process; may be called twice."""
        self._closed = True
        atexit.unregister(self._kill)
        for replica in self.replicas:
            llm, replica.llm = replica.llm, None
            if (handler := getattr(llm, "output_handler", None)) is not None:
                handler.cancel()  # it would take the end for a crash, and print a traceback
            await asyncio.to_thread(_shutdown, llm)

    async def __aenter__(self) -> VllmEngine:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _batches(self, devices: list[int | None]) -> list[list[Replica]]:
        """Replicas that start one after the other, in lists that start at once."""
        if "kv_cache_memory_bytes" in self.args:
            return [[replica] for replica in self.replicas]
        return [[replica for replica in self.replicas if replica.device == device] for device in devices]

    async def _launch_all(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            await self._launch(replica)

    async def _launch(self, replica: Replica) -> None:
        arguments = self._arguments(replica)
        started = time.monotonic()
        try:
            replica.llm = await asyncio.to_thread(self._make, arguments)
        except Exception as error:
            raise EngineError(f"vLLM does not start: {_line(error)}") from error
        replica.generation += 1
        logger.info("engine {} started in {:.0f} s", replica.index, time.monotonic() - started)
        if not await self._answers(replica, 120.0):
            _shutdown(replica.llm)
            replica.llm = None
            raise EngineError("vLLM started but does not answer")

    async def _compare_patches(self) -> None:
        """Client and workers must agree: one sends what the other reads."""
        here = {each.name for each in status() if each.state is State.ACTIVE and each.name.startswith("vllm-")}
        for index, states in enumerate(await self.patch_states()):
            there = {name for name, state in states.items() if state.startswith(State.ACTIVE)}
            for name in sorted(here - there):
                logger.warning("engine {}: patch {} is {} in the worker", index, name, states.get(name))

    def _arguments(self, replica: Replica) -> dict[str, Any]:
        kind, memory = machine.accelerator().kind, _memory(replica.device)
        arguments = merge(defaults(kind, memory, self._per_device), {"model": str(self.model)})
        if (longest := longest_context(self.model)) is not None:
            arguments["max_model_len"] = min(arguments["max_model_len"], longest)
        if replica.device is not None and _gpus() > 1:
            arguments["device_ids"] = [replica.device]
        return merge(arguments, self.args)

    def _make(self, arguments: Mapping[str, Any]) -> Any:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        if "device_ids" not in arguments and machine.accelerator().kind == "cpu":
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
        with self._environment:
            with _configuring:
                for package in ("vllm", "mineru-vl-utils"):
                    apply_selected(package, self.patches)
                from mineru_vl_utils.logits_processor.vllm_v1_no_repeat_ngram import VllmV1NoRepeatNGramLogitsProcessor
                from vllm import AsyncEngineArgs
                from vllm.usage.usage_lib import UsageContext
                from vllm.v1.engine.async_llm import AsyncLLM

                known = AsyncEngineArgs.__dataclass_fields__
                given = {name: value for name, value in arguments.items() if name in known}
                if unknown := sorted(set(self.args) - set(known)):
                    raise TypeError(f"no such argument of vLLM: {', '.join(unknown)}")
                given.setdefault("logits_processors", [VllmV1NoRepeatNGramLogitsProcessor])
                if selected(self.patches):
                    given.setdefault("worker_extension_cls", _WORKER_STATES)
                config = AsyncEngineArgs(**given).create_engine_config(UsageContext.ENGINE_CONTEXT)
            return AsyncLLM.from_vllm_config(config, disable_log_stats=given.get("disable_log_stats", False))

    async def _alive(self, replica: Replica) -> None:
        """Start the replica again if it is dead."""
        async with replica.restarting:
            if not _dead(replica.llm):
                return
            if self._closed:
                raise EngineDied("the engine is closed")
            now = time.monotonic()
            self._deaths = [t for t in self._deaths if now - t < WINDOW] + [now]
            if len(self._deaths) > RESTARTS:
                raise EngineDied(f"the engine died {len(self._deaths)} times in {WINDOW / 60:.0f} minutes")
            await asyncio.to_thread(_shutdown, replica.llm)
            try:
                await self._launch(replica)
            except EngineError as error:
                raise EngineDied(str(error)) from error

    async def _answers(self, replica: Replica, timeout: float) -> bool:
        from vllm import SamplingParams

        if _dead(replica.llm):
            return False

        async def ask() -> bool:
            one = SamplingParams(max_tokens=1, temperature=0.0, detokenize=False)
            outputs = replica.llm.generate({"prompt_token_ids": [0, 1, 2]}, one, f"health-{uuid.uuid4()}")
            tokens = [token async for output in outputs for token in output.outputs[0].token_ids]
            return len(tokens) > 0

        try:
            return await asyncio.wait_for(ask(), timeout)
        except Exception as error:
            logger.warning("engine {} does not answer: {}", replica.index, _line(error))
            return False

    def _kill(self) -> None:
        for replica in self.replicas:
            _shutdown(replica.llm, timeout=0.1)


class _Gate:
    """Many share it, or one has it alone; who waits to be alone lets nobody in behind."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = 0
        self._changed = asyncio.Condition()

    @property
    def closed(self) -> bool:
        """Whether somebody is, or waits to be, alone."""
        return self._alone > 0

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            await self._leave()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        self._alone += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._inside == 0)
                self._inside += 1
            try:
                yield
            finally:
                await self._leave()
        finally:
            self._alone -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _leave(self) -> None:
        async with self._changed:
            self._inside -= 1
            self._changed.notify_all()


class _Environment:
    """Variables that are set while any process of an engine is being started; may be entered from several threads."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._before: dict[str, str | None] = {}
        self._depth = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._before = {name: os.environ.get(name) for name in self._values}
                os.environ.update(self._values)
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            for name, value in self._before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _dead(llm: Any) -> bool:
    return llm is None or bool(llm.errored)


async def _dies(llm: Any) -> bool:
    """Whether an engine whose request failed is dead: vLLM notices that its process is gone a bit later."""
    for _ in range(20):
        if _dead(llm) or any(not process.is_alive() for process in _processes(llm)):
            return True
        await asyncio.sleep(0.05)
    return False


def _processes(llm: Any) -> list[Any]:
    manager = getattr(getattr(getattr(llm, "engine_core", None), "resources", None), "engine_manager", None)
    return list(getattr(manager, "processes", ()))


def _shutdown(llm: Any, timeout: float = 10.0) -> None:
    """Stop an AsyncLLM and make sure that its processes are gone."""
    if llm is None:
        return
    processes = _processes(llm)
    with contextlib.suppress(Exception):
        llm.shutdown(timeout=timeout)
    for process in processes:
        with contextlib.suppress(Exception):
            process.join(timeout)
            if process.is_alive():
                process.kill()
                process.join(timeout)


def _gpus() -> int:
    try:
        import torch

        return torch.cuda.device_count()
    except Exception:
        return 0


def _memory(device: int | None) -> float:
    if device is None:
        return 0.0
    import torch

    return torch.cuda.get_device_properties(device).total_memory / 2**30


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
