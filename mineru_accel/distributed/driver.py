"""Runs on a Ray cluster: Ray Data starts, retries and balances the actors; this module feeds and watches them."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from loguru import logger

from ..conversion.executor import Executor
from ..conversion.plan import Plan
from ..conversion.statistics import RunStatistics
from ..document import DocumentResult
from ..errors import AccelError, UsageError
from ..events import DocumentDone, DocumentStarted, OnEvent, PageDone, RunDone, RunStarted
from ..options import Options
from ..storage.digest import file_sha256
from ..storage.inputs import Input
from ..storage.output_folder import check_output
from ..storage.remote import is_url
from .actors import Convert, Open
from .connection import Connection, nodes
from .ledger import BatchKey, Ledger, LedgerProtocol
from .messages import InputTask, PageBatch, Row, StageCall, grouped
from .opening_in_driver import open_in_driver
from .pools import Pools, plan_pools
from .settings import Settings

_GROUP = 16
"""Maximum groups of inputs that one call opens."""
_MAX_BLOCKS = 1024
"""Maximum blocks of a dataset whose inputs are not opened yet."""


class RayExecutor(Executor):
    """Runs documents on a Ray cluster, one run at a time.

    Args:
        on_event: called with every event, from the thread that takes the results.

    Raises:
        UsageError: if Ray is not installed or the cluster can't be reached.
    """

    def __init__(self, options: Options, plan: Plan, on_event: OnEvent) -> None:
        self._options, self._plan, self._emit = options, plan, on_event
        self._connection = Connection(options.ray_address)
        self._lock = threading.Lock()  # two runs at once could each hold what the other waits for
        self._closed = False

    def close(self) -> None:
        """Leave the cluster; a run that is under way ends."""
        self._closed = True
        self._connection.close()

    def run(
        self, inputs: list[Input], output: Path | None, arrivals: Callable[[], list[Input]] | None = None
    ) -> Generator[DocumentResult, None, None]:
        """See :meth:`Executor.run`.

        Raises:
            UsageError: without an output, which has to be a place that every node can write to; or with arrivals.
            RuntimeError: if the pipeline is closed.
            AccelError: if the cluster can't do it.
        """
        if arrivals:
            raise UsageError("on Ray nothing is waited for: leave out --watch")
        if self._closed:
            raise RuntimeError("the pipeline is closed")
        if output is None:
            raise UsageError("on Ray the results need an output folder or URL that every node can write to")
        with self._lock:
            yield from self._run(inputs, output)

    async def run_async(self, inputs: list[Input], output: Path | None) -> AsyncGenerator[DocumentResult, None]:
        results = self.run(inputs, output)
        try:
            while (result := await asyncio.to_thread(next, results, None)) is not None:
                yield result
        finally:
            await asyncio.to_thread(results.close)

    def submit(
        self, item: Input, output: Path, on_event: OnEvent | None, fields: dict[str, Any]
    ) -> Future[DocumentResult]:
        raise UsageError("on Ray documents come in batches only")

    def cancel(self, future: Future[DocumentResult]) -> None:
        raise UsageError("on Ray documents come in batches only")

    def ask(self, function: Callable[..., Any], timeout: float, kwargs: dict[str, Any]) -> Future[Any]:
        raise UsageError("on Ray no worker of this machine can be asked")

    def _run(self, inputs: list[Input], output: Path) -> Iterator[DocumentResult]:
        statistics = RunStatistics(self._options)
        plan = self._plan
        self._emit(RunStarted(len(inputs), str(plan.backend), str(plan.layout), f"{plan.reason}; on Ray"))
        if not is_url(output):
            check_output(output)
            output = output.absolute()
        weights = None
        if plan.weights:
            weights, plan = file_sha256(plan.weights), replace(plan, weights=plan.weights.absolute())
        settings = Settings(self._options, plan, weights, output, self._options.part_pages)
        waiting = dict(enumerate(inputs))
        reported: dict[int, set[int]] = {}
        """Pages whose events were emitted, by document under way."""
        tasks = [InputTask(n, i.path if is_url(i.path) else Path(os.path.abspath(i.path))) for n, i in waiting.items()]

        def end(number: int, result: DocumentResult) -> DocumentResult:
            result.path = waiting.pop(number).path
            known = reported.pop(number, set())
            for page in result.pages if not result.skipped else ():
                if page.index not in known:
                    statistics.page(str(result.path), page, resumed=True)
            statistics.document(result)
            self._emit(DocumentDone(number, result))
            return result

        for call in self._works(settings, tasks):
            for batch in call.batches:
                if (item := waiting.get(batch.document.task.number)) is not None:
                    self._report(batch, item, reported, statistics)
            for done in call.done:
                if done.task.number in waiting:  # a batch that was done twice may have written its document twice
                    yield end(done.task.number, done.result)
            if statistics.stopped or self._closed:
                break
        why = statistics.stopped or ("stopped" if self._closed else "lost: see Ray's logs")
        for task in [t for t in tasks if t.number in waiting]:
            yield end(task.number, settings.failed(task, "", why))
        self._emit(RunDone(**statistics.summary()))

    def _report(self, batch: PageBatch, item: Input, reported: dict[int, set[int]], statistics: RunStatistics) -> None:
        document = batch.document
        number, path = document.task.number, str(item.path)
        if number not in reported:
            reported[number] = set()
            resumed = len(batch.there) * self._options.part_pages  # the last, shorter one is never there
            self._emit(DocumentStarted(number, path, document.name, len(document.pages), document.total, resumed))
        for result in batch.results:
            if result.index in reported[number]:
                continue
            reported[number].add(result.index)
            statistics.page(path, result)
            seconds = sum(result.timings.values())
            how = (result.status, result.error, seconds, result.warnings, result.timings)
            self._emit(PageDone(number, result.index, *how))

    def _works(self, settings: Settings, tasks: list[InputTask]) -> Iterator[StageCall]:
        """The results of the last stage, as they come."""
        names = Ledger()
        opened, groups = open_in_driver(self._connection.started, settings, names, _groups(tasks))
        calls = list(grouped(opened, settings.part_pages))
        yield StageCall(done=[done for call in calls for done in call.done])
        rows = [StageCall(batches=call.batches).to_row() for call in calls if call.batches]
        rows += [StageCall(tasks=groups[i : i + _GROUP]).to_row() for i in range(0, len(groups), _GROUP)]
        if not rows:
            return
        self._connection.started.result()
        self._connection.errors.expected = False
        import ray

        pools = plan_pools(nodes(), self._options, self._plan)
        logger.info("Ray: {}", pools)
        ledger = _place_ledger(names)
        dataset = _dataset(settings, rows, pools, RemoteLedger(ledger), unopened=bool(groups))
        try:
            for row in dataset.iter_rows():
                yield StageCall.from_row(row)
        except (ray.exceptions.RayError, OSError) as error:
            raise _reason(error) from error
        finally:
            self._connection.errors.expected = True
            del dataset  # which ends its execution
            ray.kill(ledger)


def _dataset(settings: Settings, rows: list[Row], pools: Pools, ledger: RemoteLedger, unopened: bool) -> Any:
    """The stages: open, if something is not opened yet, -> convert."""
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # every row is a call of the next stage
    context.max_errored_blocks = -1  # what is lost for good is missing at the end, and reported then
    read, convert = cast(Any, Open), cast(Any, Convert)
    with ray.data.DataContext.current(context):
        blocks = min(len(rows), _MAX_BLOCKS) if unopened else len(rows)  # what Open makes is a block each
        dataset: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=blocks)
        if unopened:
            opening = _pool(pools, 1, pools.open_cpus)
            dataset = dataset.flat_map(read, fn_constructor_args=(settings, ledger), **opening)
        return dataset.map(
            convert,
            fn_constructor_args=(settings, ledger, pools.size),
            **_pool(pools, pools.groups, pools.page_cpus, pools.gpus, pools.calls),
        )


def _pool(pools: Pools, size: int, cpus: float, gpus: float = 0.0, calls: int = 2) -> dict[str, Any]:
    """Ray Data's arguments of a stage: ``size`` actors at first, and a maximum of one per group."""
    from ray.data import ActorPoolStrategy

    compute = ActorPoolStrategy(
        min_size=1,
        max_size=pools.groups,
        initial_size=size,
        max_concurrent_calls_per_actor=calls,
        max_tasks_in_flight_per_actor=2 * calls,
        enable_true_multi_threading=True,
    )
    return {"compute": compute, "num_cpus": cpus, "num_gpus": gpus}


def _groups(tasks: list[InputTask]) -> list[list[InputTask]]:
    """Inputs of the same stem together and in order: one actor then gives them the names that a local run would."""
    groups: dict[str, list[InputTask]] = {}
    for task in tasks:
        groups.setdefault(Input(task.path).stem.casefold(), []).append(task)
    return list(groups.values())


class RemoteLedger(LedgerProtocol):
    """A :class:`Ledger` from another machine."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def claim_name(self, name: str, number: int) -> bool:
        return bool(_get(self._actor.claim_name.remote(name, number)))

    def begin_together(self, batches: Sequence[BatchKey]) -> list[int]:
        tries: list[int] = _get(self._actor.begin_together.remote(batches))
        return tries

    def begin_alone(self, batch: BatchKey) -> None:
        _get(self._actor.begin_alone.remote(batch))

    def survived(self, batches: Sequence[BatchKey]) -> None:
        self._actor.survived.remote(batches)

    def is_last(self, number: int, start: int, there: frozenset[int], total: int) -> bool:
        return bool(_get(self._actor.is_last.remote(number, start, there, total)))


def _get(reference: Any) -> Any:
    import ray

    return ray.get(reference)


def _place_ledger(names: Ledger) -> Any:
    """The ledger, on the driver's node: it is lost only with the run."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote(names.names)


def _reason(error: BaseException) -> AccelError:
    """Ray's error as ours: the one that an actor raised, if it is one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AccelError):
            return cause
        inner = getattr(cause, "cause", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__
    lines = [text for text in str(error).splitlines() if text.strip()]
    return AccelError(f"the run on Ray ended: {lines[-1].strip()[:300] if lines else type(error).__name__}")
