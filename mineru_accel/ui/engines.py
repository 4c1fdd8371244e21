"""The pipelines behind the page: one for each back end in use, shared by everybody, loaded when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import AccelError
from ..options import Backend, Options
from ..pipeline import Pipeline
from ..plan import Plan, make_plan


class Engines:
    """Loads pipelines and keeps them.

    Args:
        options: of the machine; the back end is the users' choice.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._pipelines: dict[tuple[str, str], Pipeline] = {}
        self._lock = threading.Lock()
        self._closed = False

    def choices(self) -> list[str]:
        """The back ends that this machine can run."""
        found = []
        for backend in Backend:
            try:
                self._plan(backend)
            except AccelError:
                continue
            found.append(backend.value)
        return found

    def reason(self) -> str:
        """What ``auto`` is on this machine, and why.

        Raises:
            AccelError: if nothing can be converted here.
        """
        return self._plan(Backend.AUTO).reason

    def get(self, backend: str, on_load: Callable[[], None] = lambda: None) -> Pipeline:
        """The pipeline of a back end; blocks while it is loaded, which ``on_load`` is told before.

        Raises:
            AccelError: if this machine can't run it.
        """
        plan = self._plan(Backend(backend))
        key = (plan.backend, plan.layout)
        if found := self._pipelines.get(key):
            return found
        on_load()
        with self._lock:
            if self._closed:
                raise AccelError("the server is closing")
            if key not in self._pipelines:
                self._pipelines[key] = Pipeline(self._options, backend=backend)
            return self._pipelines[key]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for pipeline in self._pipelines.values():
                pipeline.close()
            self._pipelines.clear()

    def _plan(self, backend: Backend) -> Plan:
        return make_plan(self._options.model_copy(update={"backend": backend}))
