"""The pipelines behind the web page: one for each back end in use, shared by all users, loaded when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..conversion.plan import Plan, make_plan
from ..errors import AccelError, UsageError
from ..options import Backend, Engine, Options
from ..pipeline import Pipeline

_ORDER = (Backend.PIPELINE, Backend.HYBRID, Backend.VLM)


class Pipelines:
    """Loads pipelines and keeps them.

    The choices are made once, from the models on this machine: no user can make the server download anything. Of the
    back ends whose VLM would run in this process one is offered, the server's own choice or else hybrid: a GPU has
    room for one.

    Args:
        options: The machine's; ``backend`` is the one that ``auto`` means for its users.

    Raises:
        AccelError: if this machine can't run that.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._plans: dict[str, tuple[Backend, Plan]] = {"auto": (options.backend, make_plan(options))}
        in_process = {chosen for _, plan in self._plans.values() if (chosen := _with_vlm_in_process(plan))}
        for backend in _ORDER:
            try:
                plan = make_plan(options.model_copy(update={"backend": backend, "offline": True}))
            except AccelError:
                continue
            if (chosen := _with_vlm_in_process(plan)) and in_process - {chosen}:
                continue
            in_process |= {chosen} if chosen else set()
            self._plans[backend.value] = backend, plan
        self._pipelines: dict[tuple[str, str], Pipeline] = {}
        self._lock = threading.Lock()
        self._closed = False

    def choices(self) -> list[str]:
        """The back ends that users may choose."""
        return list(self._plans)

    def auto(self) -> str:
        """The back end, layout and engine of ``auto`` on this machine, without paths."""
        _, plan = self._plans["auto"]
        return ", ".join(str(part) for part in (plan.backend, plan.layout, plan.engine) if part)

    def get(self, backend: str, on_load: Callable[[], None] = lambda: None) -> Pipeline:
        """The pipeline of a back end; blocks while it is loaded. ``on_load`` is called before that.

        Raises:
            AccelError: if it isn't offered, or can't be loaded.
        """
        if backend not in self._plans:
            raise UsageError(f"backend: this server offers {', '.join(self._plans)}")
        chosen, plan = self._plans[backend]
        key = (plan.backend, plan.layout)
        if found := self._pipelines.get(key):
            return found
        on_load()
        with self._lock:
            if self._closed:
                raise AccelError("the server is closing")
            if key not in self._pipelines:
                self._pipelines[key] = Pipeline(self._options, backend=chosen)
            return self._pipelines[key]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for pipeline in self._pipelines.values():
                pipeline.close()
            self._pipelines.clear()


def _with_vlm_in_process(plan: Plan) -> Backend | None:
    """The back end, if it runs a VLM in this process."""
    return plan.backend if plan.engine and plan.engine is not Engine.HTTP else None
