"""vLLM as the processes of this program: started, watched, restarted when they die, and never left behind.

::

    supervisor = EngineSupervisor(model, args={"max_num_seqs": 256})
    await supervisor.start()
    text = await supervisor.run("page 7", lambda replica: apply(replica.llm, ask))    # again if the replica dies
    await supervisor.close()

A *replica* is one ``vllm.v1.engine.async_llm.AsyncLLM`` with its processes. On GPUs, and where there are several
replicas, each is in a process of its own (`process.EngineProcess`) that sees its GPUs alone. A restart replaces a
replica's ``llm`` and increases ``generation``. `run` hands out the replica with the least to do; `process.apply` calls
a function in the process that has the AsyncLLM. Everything here belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from loguru import logger

from ...errors import one_line
from ...hardware import accelerator, gpus
from ...hardware.visible_devices import pinned
from ...patches.registry import SWITCH, selected
from ...workers import owner_watch
from ...workers.exclusive_lock import AsyncExclusiveLock
from ..errors import EngineDied, EngineError
from . import async_llm
from .arguments import engine_arguments, longest_context, replicas_per_gpu
from .environment import SOCKET_FOLDER, call_with_environment, make_socket_folder
from .process import EngineProcess, apply

T = TypeVar("T")
RESTARTS = 5
"""Maximum restarts of a replica within `WINDOW` seconds; after one more death it stays dead."""
WINDOW = 1800.0
_COOLDOWN = 60.0
"""Seconds without work for a replica that could not be restarted, while others live."""
_PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


@dataclass(eq=False)
class Replica:
    """One AsyncLLM with its processes."""

    index: int
    devices: tuple[int, ...] = ()
    """Its GPUs: one unless vLLM's arguments ask for more, none on a CPU."""
    llm: Any = None
    """``vllm.v1.engine.async_llm.AsyncLLM`` or `EngineProcess`; another object after a restart."""
    generation: int = 0
    """Number of starts."""
    busy: int = 0
    """Calls of `EngineSupervisor.run` in flight."""
    restarts: list[float] = field(default_factory=list)
    """Times of its restarts within `WINDOW`."""
    restarting: asyncio.Task[None] | None = None
    """The latest restart."""
    cooldown_until: float = 0.0
    """Until then it gets work only if no other replica can have it, since it could not be restarted."""
    lock: AsyncExclusiveLock = field(default_factory=AsyncExclusiveLock)

    @property
    def cooling_down(self) -> bool:
        """Whether another replica should have the work."""
        return time.monotonic() < self.cooldown_until


class EngineSupervisor:
    """One or more replicas of a model.

    Args:
        model: folder of the checkpoint.
        args: arguments of vLLM's engine over our defaults (`arguments.defaults`); dictionaries are merged.
        replicas: on each GPU, or "auto": `arguments.replicas_per_gpu`.
        patches: ``MINERU_ACCEL_PATCHES`` of the replicas' processes and of this one: auto, none, or names.
        devices: GPUs by number; None for all that torch sees.
        own_processes: whether each replica is in a process of its own; None where that is of use: on GPUs, and if
            there are several.

    Each GPU has its replicas. With ``tensor_parallel_size`` and the like each replica has that many GPUs; with
    ``device_ids`` vLLM chooses the GPUs of a single replica.

    Replicas on different GPUs start at the same time (in processes of their own). Those of one GPU start one after the
    other, since each measures the memory that is left, unless ``kv_cache_memory_bytes`` says how much each may have.

    A dead replica is restarted by the next `run`, at most `RESTARTS` times in `WINDOW` seconds.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        args: Mapping[str, Any] | None = None,
        replicas: int | Literal["auto"] = "auto",
        patches: str = "auto",
        devices: list[int] | None = None,
        own_processes: bool | None = None,
    ) -> None:
        self.model = Path(model)
        self.args = dict(args or {})
        self.patches = patches
        self.wanted = None if replicas == "auto" else replicas
        """Replicas on each GPU, None for as many as the hardware suggests."""
        self.per_gpu = 1
        """Replicas that share a GPU (or a group of GPUs), once started."""
        self._devices = devices
        self._own_processes = own_processes
        self._starting: list[asyncio.Task[None]] = []
        self._thread: asyncio.Future[Any] | None = None
        """Creates an AsyncLLM in this process."""
        self._closed = False
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
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
        """Number of starts of all replicas."""
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
        groups = self.gpu_groups()
        self.per_gpu = self.wanted or self._suggested(groups)
        self.replicas = [Replica(i, devices) for i, devices in enumerate(groups * self.per_gpu)]
        sequences = self.start_sequences(groups)
        self._sockets = make_socket_folder()
        if self._own_processes is None:  # on a GPU this process' Python could not keep up with the engine's
            self._own_processes = len(self.replicas) > 1 or bool(groups[0])
        atexit.register(self._kill)
        self._starting = [asyncio.create_task(self._launch_all(sequence)) for sequence in sequences]
        try:
            await asyncio.gather(*self._starting)
            await self._compare_patches()
        except BaseException:
            await self.close()
            raise

    async def run(self, key: str, work: Callable[[Replica], Awaitable[T]]) -> T:
        """Run ``work`` on a replica, and once more if the replica dies meanwhile.

        The second time it runs alone on its replica: if that dies, too, it is certain that this work killed it.

        Args:
            key: name of the work in messages.

        Raises:
            EngineDied: if a replica died twice (the page is to be given up), or may not be restarted again.
            Anything that ``work`` raises while the replica lives.
        """
        alone = False
        while True:
            replica = min(self.replicas, key=lambda r: (r.cooling_down, r.lock.closed, r.busy))
            replica.busy += 1
            try:
                async with replica.lock.alone() if alone else replica.lock.shared():
                    if not await self._ready(replica):
                        continue
                    llm = replica.llm
                    try:
                        result = await work(replica)
                    except Exception as error:
                        # an EngineProcess has found out about its engine before it sent the exception
                        found_out = isinstance(llm, EngineProcess)
                        if not async_llm.is_dead(llm) and (found_out or not await async_llm.dies(llm)):
                            raise
                        cause = one_line(error, 300, named=True)
                        logger.warning("engine {} died under {}: {}", replica.index, key, cause)
                    else:
                        if not async_llm.is_dead(llm):
                            return result
                        logger.warning("engine {} died under {}", replica.index, key)
            finally:
                replica.busy -= 1
            if alone:
                raise EngineDied(f"{key}: killed the engine twice")
            alone = True

    async def patch_states(self) -> list[dict[str, str]]:
        """For each replica's (first) worker: names of patches -> their states in that process."""
        if not self._workers_have_states():
            return []
        return [await apply(llm, async_llm.patch_states) for llm in self.llms]

    async def close(self) -> None:
        """Stop every process; may be called twice."""
        self._closed = True
        atexit.unregister(self._kill)
        starts = [*self._starting, *(replica.restarting for replica in self.replicas if replica.restarting)]
        for task in starts:
            task.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        if self._thread:
            await _abandon(self._thread)

        async def end(replica: Replica) -> None:
            llm, replica.llm = replica.llm, None
            async_llm.cancel_output_handler(llm)
            await asyncio.to_thread(async_llm.shutdown, llm)

        await asyncio.gather(*(end(replica) for replica in self.replicas))
        if self._sockets:
            self._sockets.cleanup()

    async def __aenter__(self) -> EngineSupervisor:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def gpu_groups(self) -> list[tuple[int, ...]]:
        """The GPUs of each replica, if each GPU has one; one empty group on a CPU.

        Raises:
            EngineError: if vLLM's arguments ask for more GPUs than there are, or are no numbers.
        """
        if accelerator.accelerator().kind == "cpu":
            return [()]
        devices = list(range(gpus.visible()) if self._devices is None else self._devices)
        try:
            size = math.prod(int(self.args.get(name) or 1) for name in _PARALLEL)
        except (TypeError, ValueError) as error:
            raise EngineError(f"vLLM's {', '.join(_PARALLEL)} are numbers: {error}") from error
        if size > len(devices):
            raise EngineError(f"an engine of {size} GPUs does not fit on {len(devices)}")
        if "device_ids" in self.args:
            return [tuple(devices)]
        return [tuple(devices[i : i + size]) for i in range(0, len(devices) - size + 1, size)]

    def _suggested(self, groups: list[tuple[int, ...]]) -> int:
        """Replicas for each group of GPUs by the smallest one's memory."""
        smallest = min(gpus.memory_gib(devices) for devices in groups)
        return replicas_per_gpu(accelerator.accelerator(), smallest, gpus.cores_each(), self.args)

    def start_sequences(self, groups: list[tuple[int, ...]]) -> list[list[Replica]]:
        """Lists of replicas: the lists start at the same time, the replicas of a list one after the other."""
        sequences: list[list[Replica]] = []
        for devices in groups:
            sharing = [replica for replica in self.replicas if replica.devices == devices]
            memory_is_given = "kv_cache_memory_bytes" in self.arguments(sharing[0])
            sequences += [[replica] for replica in sharing] if memory_is_given else [sharing]
        return sequences

    async def _launch_all(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            await self._launch(replica)

    async def _launch(self, replica: Replica) -> None:
        started = time.monotonic()
        try:
            replica.llm = await self.create(replica)
        except Exception as error:
            raise EngineError(f"vLLM does not start: {one_line(error, 300, named=True)}") from error
        replica.generation += 1
        logger.info("engine {} started in {:.0f} s", replica.index, time.monotonic() - started)
        if not await self._answers(replica, 120.0):
            await asyncio.to_thread(async_llm.shutdown, replica.llm)
            replica.llm = None
            raise EngineError("vLLM started but does not answer")

    async def _compare_patches(self) -> None:
        """Check that workers have the patches of their client: one sends what the other reads."""
        if not self._workers_have_states():
            return
        for replica in self.replicas:
            missing = await apply(replica.llm, async_llm.missing_patches)
            if "vllm-uint8-pixels" in missing:
                raise EngineError("vLLM's worker lacks our patches: is mineru-accel installed where vLLM is?")
            for name, state in missing.items():
                logger.warning("engine {}: patch {} is {} in the worker", replica.index, name, state)

    def _workers_have_states(self) -> bool:
        return bool(selected(self.patches)) and "worker_extension_cls" not in self.args

    def arguments(self, replica: Replica) -> dict[str, Any]:
        """Arguments of vLLM's engine for a replica."""
        memory = gpus.memory_gib(replica.devices)
        ours = {"model": str(self.model)}
        arguments = ours | engine_arguments(accelerator.accelerator(), memory, self.per_gpu, self.args)
        longest = longest_context(self.model)
        if longest is not None and "max_model_len" not in self.args:
            arguments["max_model_len"] = min(arguments["max_model_len"], longest)
        return arguments

    async def create(self, replica: Replica) -> Any:
        """A new AsyncLLM, in this process or in one of its own."""
        arguments: tuple[Any, ...] = (self.arguments(replica), list(self.args), self.patches)
        values = {SWITCH: self.patches, owner_watch.VARIABLE: owner_watch.owner_id()}
        if self._sockets:
            values[SOCKET_FOLDER] = self._sockets.name
        if plugins := os.environ.get("VLLM_PLUGINS"):  # the user's choice of plugins; ours is one, too
            values["VLLM_PLUGINS"] = f"{plugins},mineru_accel"
        if not self._own_processes:
            loop = asyncio.get_running_loop()
            self._thread = loop.run_in_executor(None, call_with_environment, values, async_llm.create, *arguments)
            llm = await asyncio.shield(self._thread)
            self._thread = None
            return llm
        environment = pinned(os.environ | values, accelerator.accelerator().kind, replica.devices)
        return await EngineProcess.start(async_llm.create, *arguments, environment=environment)

    async def _ensure_alive(self, replica: Replica) -> None:
        """Restart a replica if it is dead. A restart goes on if those who wait for it are cancelled.

        Raises:
            EngineDied: if it can't be restarted.
        """
        if not async_llm.is_dead(replica.llm):
            return
        if replica.restarting is None or replica.restarting.done():
            replica.restarting = asyncio.create_task(self._restart(replica))
            # asked for its exception, or asyncio would log it where nobody waits any more
            replica.restarting.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(replica.restarting)

    async def _ready(self, replica: Replica) -> bool:
        """Whether a replica is up, restarted if need be; False if another one should have the work.

        Raises:
            EngineDied: if it can't be restarted, and there is no other one.
        """
        if not (replica.cooling_down and self._has_other(replica)):
            try:
                await self._ensure_alive(replica)
                return True
            except EngineDied:
                if self._closed or not self._has_other(replica):
                    raise
        return False

    def _has_other(self, replica: Replica) -> bool:
        """Whether another replica can have the work."""
        return any(other is not replica and not other.cooling_down for other in self.replicas)

    async def _restart(self, replica: Replica) -> None:
        if self._closed:
            raise EngineDied("the engine is closed")
        now = time.monotonic()
        replica.restarts = [t for t in replica.restarts if now - t < WINDOW]
        if len(replica.restarts) >= RESTARTS:
            replica.cooldown_until = replica.restarts[0] + WINDOW
            raise EngineDied(f"the engine died {RESTARTS + 1} times in {WINDOW / 60:.0f} minutes")
        replica.restarts.append(now)
        await asyncio.to_thread(async_llm.shutdown, replica.llm)
        try:
            await self._launch(replica)
        except EngineError as error:
            replica.cooldown_until = time.monotonic() + _COOLDOWN
            raise EngineDied(str(error)) from error
        replica.cooldown_until = 0.0

    async def _answers(self, replica: Replica, timeout: float) -> bool:
        """Whether a replica generates a token within ``timeout`` seconds."""
        if async_llm.is_dead(replica.llm):
            return False
        try:
            return await asyncio.wait_for(apply(replica.llm, async_llm.generate_one_token), timeout) > 0
        except Exception as error:
            logger.warning("engine {} does not answer: {}", replica.index, one_line(error, 300, named=True))
            return False

    def _kill(self) -> None:
        """At the interpreter's exit, where no loop runs any more."""
        for replica in self.replicas:
            async_llm.shutdown(replica.llm, timeout=0.1)
        if self._sockets:
            self._sockets.cleanup()


async def _abandon(start: asyncio.Future[Any]) -> None:
    """End a start in a thread, which can't be cancelled: it fails once its processes are gone."""
    while not start.done():
        owner_watch.end_children()
        await asyncio.wait([start], timeout=0.1)
    if start.exception() is None:
        await asyncio.to_thread(async_llm.shutdown, start.result())
