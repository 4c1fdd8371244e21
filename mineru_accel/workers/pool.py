"""A pool of worker processes in which a job may crash, hang or run out of memory and cost only itself.

``concurrent.futures.ProcessPoolExecutor`` gives up the whole pool when one process dies and can't end a job that
hangs, so this is our own: one process and one thread per worker, a time limit per job, a fresh process after a loss.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ..errors import InputError, ModelError, OutputError, WorkerError
from .arena import Arena
from .protocol import Done, Failed, Job
from .spawn import take
from .trace import Tracer

_ERRORS: dict[str, type[Exception]] = {e.__name__: e for e in (InputError, ModelError, OutputError, MemoryError)}


class JobError(Exception):
    """A job raised something it did not mean to; ``traceback`` is the worker's."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    connection: Connection
    complete: bool


class WorkerPool:
    """Runs functions in worker processes.

    Args:
        size: number of processes.
        preload: modules that every worker has imported before its first job.
        arena: shared memory that workers can write pixels into.
        later: modules that complete workers, and those started after some time, have imported too; missing ones are
            passed over.
        memory: maximum bytes of data of a worker; above, its job fails. None: no limit.
        tracer: records every job, in a lane per worker.
        quiet: whether output of native libraries is thrown away.
    """

    def __init__(
        self,
        size: int,
        preload: Sequence[str] = (),
        arena: Arena | None = None,
        later: Sequence[str] = (),
        *,
        memory: int | None = None,
        tracer: Tracer | None = None,
        quiet: bool = False,
    ) -> None:
        self.size = size
        self._quiet = quiet
        self._tracer = tracer or Tracer(None)
        self._arena = arena
        self._jobs: queue.PriorityQueue[tuple[tuple[float, ...], int, Job | None, Future[Any]]]
        self._jobs = queue.PriorityQueue()
        self._count = 0
        self._lock = threading.Lock()
        self._forking = threading.Lock()
        """Held by the thread that talks to the zygote."""
        self._closed = False
        self._pids: set[int] = set()
        self._settings = memory or 0, preload, later
        self._start_zygote()
        self.threads = [threading.Thread(target=self._run, name=f"worker-{i}", daemon=True) for i in range(size)]
        for thread in self.threads:
            thread.start()

    def _start_zygote(self) -> None:
        self.zygote = take(self._settings[1], self._quiet)
        self.zygote.configure(*self._settings)

    def submit(self, job: Job, priority: tuple[float, ...] = ()) -> Future[Any]:
        """Run a job in a worker, which is killed when the job's time is up, counted from when it takes it.

        Args:
            priority: the job with the smallest one is taken first; equal ones in order.

        Returns:
            A future. It raises :class:`WorkerError` when the process died or ran out of time, our own errors
            as they were raised, and :class:`JobError` for anything else.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker pool is closed")
            self._count += 1
            self._jobs.put((priority, self._count, job, future))
        return future

    @property
    def pids(self) -> list[int]:
        """Processes of its workers."""
        with self._lock:
            return list(self._pids)

    def close(self) -> None:
        """End every worker at once; jobs not finished raise :class:`WorkerError`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for pid in self._pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        while True:
            try:
                *_, future = self._jobs.get_nowait()
            except queue.Empty:
                break
            if future.set_running_or_notify_cancel():  # not given up already
                future.set_exception(WorkerError("stopped"))
        for number, _ in enumerate(self.threads):
            self._jobs.put(((float("inf"),), number, None, Future()))
        self.zygote.hang_up()
        for thread in self.threads:
            thread.join(timeout=5)
        self.zygote.kill()

    def _fork(self, complete: bool) -> _Process:
        ours, theirs = socket.socketpair()
        fds = [theirs.fileno()] + ([self._arena.fd] if self._arena else [])
        try:
            with self._forking:  # not the other lock: the zygote may be importing, and closing waits for nobody
                try:
                    pid, is_complete = self.zygote.fork(complete, fds)
                except OSError:  # somebody killed it
                    self._start_zygote_again()
                    pid, is_complete = self.zygote.fork(complete, fds)
                self._adopt(pid)
        except OSError as error:
            raise WorkerError("stopped" if self._closed else f"worker processes can't be started: {error}") from error
        finally:
            theirs.close()
        return _Process(pid, Connection(ours.detach()), is_complete)

    def _start_zygote_again(self) -> None:
        with self._lock:
            if self._closed:
                raise WorkerError("stopped")
            self.zygote.kill()
            self._start_zygote()

    def _adopt(self, pid: int) -> None:
        with self._lock:
            if self._closed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise WorkerError("stopped")
            self._pids.add(pid)

    def _forget(self, process: _Process) -> None:
        process.connection.close()
        with self._lock:
            if process.pid in self._pids:
                self._pids.remove(process.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def _run(self) -> None:
        """One worker's thread: hand it jobs one by one, replace it when it is lost."""
        process: _Process | None = None
        while True:
            *_, job, future = self._jobs.get()
            if job is None:
                break
            if not future.set_running_or_notify_cancel():
                continue
            try:
                # Anything to read from an idle worker is its end.
                if process and (job.alone or (job.complete and not process.complete) or process.connection.poll(0)):
                    self._forget(process)
                    process = None
                process = process or self._fork(job.complete)
                started = time.perf_counter()
                try:
                    value = self._call(process.connection, job)
                finally:
                    self._tracer.span(threading.current_thread().name, job.name, started, what=job.what)
                if job.alone:
                    self._forget(process)
                    process = None
                future.set_result(value)
            except WorkerError as error:
                if process:
                    self._forget(process)
                process = None
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
        if process:
            self._forget(process)

    def _call(self, connection: Connection, job: Job) -> Any:
        try:
            connection.send(job)
            if not connection.poll(job.timeout):
                raise WorkerError(f"took longer than {job.timeout:.0f} s")
            answer: Done | Failed = connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerError("stopped" if self._closed else "the worker process died") from error
        if isinstance(answer, Done):
            return answer.value
        if answer.expected:
            raise _ERRORS.get(answer.kind, InputError)(answer.message)
        raise JobError(f"{answer.kind}: {answer.message}", answer.traceback)
