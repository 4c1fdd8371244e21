"""vLLM in this process' care: started, watched, started again, and never left behind.

::

    engine = EngineSupervisor(model, args={"max_num_seqs": 256})
    await engine.start()
    text = await engine.run("page 7", lambda replica: apply(replica.llm, ask))    # put back if the engine dies
    await engine.close()

``engine.llms`` are ``vllm.v1.engine.async_llm.AsyncLLM`` objects, one a replica; on GPUs, and where there are several,
each is in a process of its own (`apart.EngineProcess`) that sees its GPU alone. After a restart they are
new ones, and ``engine.generation`` is greater. `run` hands out the replica with the least to do and its present
AsyncLLM; `apart.apply` calls a function where that is. Everything here belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
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
from . import async_llm as llms
from .arguments import engines_each, fitted, longest_context
from .process import EngineProcess, apply

T = TypeVar("T")
RESTARTS = 5
"""Restarts of a replica within `WINDOW` seconds; one more death and it stays dead."""
WINDOW = 1800.0
_REST = 60.0
"""Seconds that an engine is left alone which could not be started again, while others live."""
_PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
_SOCKETS = "VLLM_RPC_BASE_PATH"
_SOCKET_NAME, _LONGEST_PATH = 37, 107
"""Characters of a slash and vLLM's name for a socket, and of a socket's path: Linux takes no more."""
_environment_lock = threading.Lock()


@dataclass(eq=False)
class Replica:
    """One AsyncLLM with its processes."""

    index: int
    devices: tuple[int, ...] = ()
    """Its GPUs, one unless vLLM's arguments ask for more; none on a CPU."""
    llm: Any = None
    """``vllm.v1.engine.async_llm.AsyncLLM``, or `EngineProcess`; another object after a restart."""
    generation: int = 0
    """Number of starts."""
    busy: int = 0
    """Calls of `EngineSupervisor.run` in flight."""
    restarts: list[float] = field(default_factory=list)
    """When it was started again, within `WINDOW`."""
    launching: asyncio.Task[None] | None = None
    """The latest of these starts."""
    rests_until: float = 0.0
    """Before then it gets work only if no other one can have it: it could not be started again."""
    gate: AsyncExclusiveLock = field(default_factory=AsyncExclusiveLock)

    @property
    def rests(self) -> bool:
        """Whether it is better left alone."""
        return time.monotonic() < self.rests_until


class EngineSupervisor:
    """An engine of one or more replicas.

    Args:
        model: folder of the checkpoint.
        args: arguments of vLLM's engine over our defaults (`arguments.defaults`); dictionaries are merged.
        replicas: on each GPU, or "auto": `arguments.engines_each`.
        patches: what ``MINERU_ACCEL_PATCHES`` is for this engine's processes (and this one): auto, none, or names.
        devices: GPUs by number; None for all that torch sees.
        apart: whether each replica is in a process of its own; None where that is of use: on GPUs, and if there are
            several.

    Each GPU has its engine; with ``tensor_parallel_size`` and the like each engine has so many GPUs. ``device_ids``
    among the arguments leaves the choice to vLLM, for one engine.

    Engines of different GPUs start at once (if they are apart); those of one GPU one after the other, since each
    measures the memory that is left, unless ``kv_cache_memory_bytes`` says how much each may have.

    A dead engine is started again by the next `run` or `restart`, at most `RESTARTS` times in `WINDOW` seconds.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        args: Mapping[str, Any] | None = None,
        replicas: int | Literal["auto"] = "auto",
        patches: str = "auto",
        devices: list[int] | None = None,
        apart: bool | None = None,
    ) -> None:
        self.model = Path(model)
        self.args = dict(args or {})
        self.patches = patches
        self._wanted = None if replicas == "auto" else replicas
        self._per_device = 1
        self._devices = devices
        self._apart = apart
        self._starting: list[asyncio.Task[None]] = []
        self._thread: asyncio.Future[Any] | None = None
        """Makes an AsyncLLM of this process; of one that is apart its process does."""
        self._closed = False
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        """Of vLLM's processes, which leave them behind."""
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
        groups = self._groups()
        self._per_device = self._wanted or self._best(groups)
        self.replicas = [Replica(i, devices) for i, devices in enumerate(groups * self._per_device)]
        batches = self._batches(groups)
        self._sockets = _folder_for_sockets()
        if self._apart is None:  # on a GPU this process could not keep up with it
            self._apart = len(self.replicas) > 1 or bool(groups[0])
        atexit.register(self._kill)
        self._starting = [asyncio.create_task(self._launch_all(batch)) for batch in batches]
        try:
            await asyncio.gather(*self._starting)
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
        alone = False
        while True:
            replica = min(self.replicas, key=lambda r: (r.rests, r.gate.closed, r.busy))
            replica.busy += 1
            try:
                async with replica.gate.alone() if alone else replica.gate.shared():
                    if not await self._ready(replica):
                        continue
                    llm = replica.llm
                    try:
                        result = await work(replica)
                    except Exception as error:
                        if not llms.dead(llm) and (isinstance(llm, EngineProcess) or not await llms.dies(llm)):
                            raise
                        logger.warning(
                            "engine {} died under {}: {}", replica.index, key, one_line(error, 300, named=True)
                        )
                    else:
                        if not llms.dead(llm):
                            return result
                        logger.warning("engine {} died under {}", replica.index, key)
            finally:
                replica.busy -= 1
            if alone:
                raise EngineDied(f"{key}: killed the engine twice")
            alone = True

    async def restart(self, replica: Replica) -> None:
        """Start a replica anew, if it is dead or does not answer.

        Raises:
            EngineDied: if it has been restarted too often, or can't be.
        """
        if llms.dead(replica.llm) or not await self._answers(replica, 60.0):
            await asyncio.to_thread(llms.shutdown, replica.llm)
            replica.llm = None
        await self._alive(replica)

    async def patch_states(self) -> list[dict[str, str]]:
        """For each replica's (first) worker: name of a patch -> its state in that process."""
        if not self._has_states():
            return []
        return [await apply(llm, llms.patch_states) for llm in self.llms]

    async def close(self) -> None:
        """Stop every process; may be called twice."""
        self._closed = True
        atexit.unregister(self._kill)
        starts = [*self._starting, *(replica.launching for replica in self.replicas if replica.launching)]
        for task in starts:
            task.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        if self._thread:
            await _abandon(self._thread)

        async def end(replica: Replica) -> None:
            llm, replica.llm = replica.llm, None
            llms.quiet(llm)
            await asyncio.to_thread(llms.shutdown, llm)

        await asyncio.gather(*(end(replica) for replica in self.replicas))
        if self._sockets:
            self._sockets.cleanup()

    async def __aenter__(self) -> EngineSupervisor:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _groups(self) -> list[tuple[int, ...]]:
        """The GPUs of each engine."""
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

    def _best(self, groups: list[tuple[int, ...]]) -> int:
        smallest = min(gpus.memory_gib(devices) for devices in groups)
        return engines_each(accelerator.accelerator(), smallest, gpus.cores_each(), self.args)

    def _batches(self, groups: list[tuple[int, ...]]) -> list[list[Replica]]:
        """Replicas that start one after the other, in lists that start at once."""
        batches: list[list[Replica]] = []
        for devices in groups:
            sharing = [replica for replica in self.replicas if replica.devices == devices]
            said = "kv_cache_memory_bytes" in self._arguments(sharing[0])
            batches += [[replica] for replica in sharing] if said else [sharing]
        return batches

    async def _launch_all(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            await self._launch(replica)

    async def _launch(self, replica: Replica) -> None:
        started = time.monotonic()
        try:
            replica.llm = await self._make(replica)
        except Exception as error:
            raise EngineError(f"vLLM does not start: {one_line(error, 300, named=True)}") from error
        replica.generation += 1
        logger.info("engine {} started in {:.0f} s", replica.index, time.monotonic() - started)
        if not await self._answers(replica, 120.0):
            await asyncio.to_thread(llms.shutdown, replica.llm)
            replica.llm = None
            raise EngineError("vLLM started but does not answer")

    async def _compare_patches(self) -> None:
        """Client and workers must agree: one sends what the other reads."""
        if not self._has_states():
            return
        for replica in self.replicas:
            lacking = await apply(replica.llm, llms.lacking)
            if "vllm-uint8-pixels" in lacking:
                raise EngineError("vLLM's worker lacks our patches: is mineru-accel installed where vLLM is?")
            for name, state in lacking.items():
                logger.warning("engine {}: patch {} is {} in the worker", replica.index, name, state)

    def _has_states(self) -> bool:
        return bool(selected(self.patches)) and "worker_extension_cls" not in self.args

    def _arguments(self, replica: Replica) -> dict[str, Any]:
        memory = gpus.memory_gib(replica.devices)
        ours = {"model": str(self.model)}
        arguments = ours | fitted(accelerator.accelerator(), memory, self._per_device, self.args)
        longest = longest_context(self.model)
        if longest is not None and "max_model_len" not in self.args:
            arguments["max_model_len"] = min(arguments["max_model_len"], longest)
        return arguments

    async def _make(self, replica: Replica) -> Any:
        made: tuple[Any, ...] = (self._arguments(replica), list(self.args), self.patches)
        values = {SWITCH: self.patches, owner_watch.VARIABLE: owner_watch.offer()}
        if self._sockets:
            values[_SOCKETS] = self._sockets.name
        if plugins := os.environ.get("VLLM_PLUGINS"):  # the user's choice of plugins; ours is one, too
            values["VLLM_PLUGINS"] = f"{plugins},mineru_accel"
        if not self._apart:
            loop = asyncio.get_running_loop()
            self._thread = loop.run_in_executor(None, _with, values, llms.make, *made)
            made_here = await asyncio.shield(self._thread)
            self._thread = None
            return made_here
        environment = pinned(os.environ | values, accelerator.accelerator().kind, replica.devices)
        return await EngineProcess.start(llms.make, *made, environment=environment)

    async def _alive(self, replica: Replica) -> None:
        """Start the replica again if it is dead. Whoever waits for that may be cancelled: the start goes on."""
        if not llms.dead(replica.llm):
            return
        if replica.launching is None or replica.launching.done():
            replica.launching = asyncio.create_task(self._start_again(replica))
            replica.launching.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(replica.launching)

    async def _ready(self, replica: Replica) -> bool:
        """Whether it is up, started again if need be; False if another one should have the work.

        Raises:
            EngineDied: if it can't be started again, and there is no other one.
        """
        if not (replica.rests and self._others(replica)):
            try:
                await self._alive(replica)
                return True
            except EngineDied:
                if self._closed or not self._others(replica):
                    raise
        return False

    def _others(self, replica: Replica) -> bool:
        """Whether another replica can have the work."""
        return any(other is not replica and not other.rests for other in self.replicas)

    async def _start_again(self, replica: Replica) -> None:
        if self._closed:
            raise EngineDied("the engine is closed")
        now = time.monotonic()
        replica.restarts = [t for t in replica.restarts if now - t < WINDOW]
        if len(replica.restarts) >= RESTARTS:
            replica.rests_until = replica.restarts[0] + WINDOW
            raise EngineDied(f"the engine died {RESTARTS + 1} times in {WINDOW / 60:.0f} minutes")
        replica.restarts.append(now)
        await asyncio.to_thread(llms.shutdown, replica.llm)
        try:
            await self._launch(replica)
        except EngineError as error:
            replica.rests_until = time.monotonic() + _REST
            raise EngineDied(str(error)) from error
        replica.rests_until = 0.0

    async def _answers(self, replica: Replica, timeout: float) -> bool:
        if llms.dead(replica.llm):
            return False
        try:
            return await asyncio.wait_for(apply(replica.llm, llms.answer), timeout) > 0
        except Exception as error:
            logger.warning("engine {} does not answer: {}", replica.index, one_line(error, 300, named=True))
            return False

    def _kill(self) -> None:
        for replica in self.replicas:
            llms.shutdown(replica.llm, timeout=0.1)
        if self._sockets:
            self._sockets.cleanup()


def _folder_for_sockets() -> tempfile.TemporaryDirectory[str] | None:
    """None if the user has named one, or its name would be too long."""
    if _SOCKETS in os.environ:
        return None
    folder = tempfile.TemporaryDirectory(prefix="mineru-accel-", ignore_cleanup_errors=True)
    if len(os.fsencode(folder.name)) + _SOCKET_NAME <= _LONGEST_PATH:
        return folder
    folder.cleanup()
    return None


async def _abandon(start: asyncio.Future[Any]) -> None:
    """End what a thread starts that can't be stopped: it gives up once its processes are gone."""
    while not start.done():
        owner_watch.end_children()
        await asyncio.wait([start], timeout=0.1)
    if start.exception() is None:
        await asyncio.to_thread(llms.shutdown, start.result())


def _with(values: Mapping[str, str], call: Callable[..., T], *args: Any) -> T:
    """``call(*args)`` while the environment says so, for the processes that it starts. Ctrl-C at the terminal does not
    reach these: it means this process, which says what becomes of its engine."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        resource_tracker.ensure_running()  # its start would unblock the signal
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited
        try:
            return call(*args)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
