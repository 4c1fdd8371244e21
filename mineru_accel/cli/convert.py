"""``mineru-accel convert``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger
from pydantic import ValidationError

from ..conversion.startup import WORKER_OUTPUT
from ..errors import EXIT_FAILED, EXIT_OK, UsageError
from ..events import Event, RunDone, as_json
from ..options import Options
from ..pipeline import Pipeline
from ..storage.inputs import find_inputs, read_list
from ..storage.remote import is_url
from ..vlm.vllm_host.arguments import parse
from ..workers.log_level import LOG_LEVEL
from . import interrupts
from .messages import describe
from .progress import make_reporter

if TYPE_CHECKING:
    from .watch import Arrivals

_FIELDS = (
    *("backend", "method", "lang", "layout", "layout_weights", "imgsz", "dpi", "device", "workers", "page_timeout"),
    *("document_timeout", "worker_memory", "resume", "max_failed_pages", "fail_fast", "profile"),
    *("executor", "ray_address", "ray_actors", "ray_gpus", "part_pages"),
    *("offline", "pages", "start", "end", "max_pages", "formats", "images", "password"),
    *("engine", "urls", "vlm", "vlm_for", "describe_images", "vlm_replicas", "timeout"),
)
_FLAGS = {"urls": "url", "vllm_args": "vllm-arg"}
"""Flags whose names differ from their fields."""


def run(args: argparse.Namespace) -> int:
    """Convert what the arguments name.

    Returns:
        ``EXIT_OK`` if every page of every document came out, else ``EXIT_FAILED``.

    Raises:
        UsageError: if the arguments make no sense.
        AccelError: if this machine can't do what was asked.
        KeyboardInterrupt: if it was interrupted; everything is closed then.
    """
    with interrupts.handled():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    _set_up_logging(args)
    options = make_options(args, overwrite=args.overwrite)
    given = [*args.path, *args.paths, *(read_list(args.jobs_from) if args.jobs_from else [])]
    arrivals = _watched(args)
    if not given and arrivals is None:
        raise UsageError("name at least one PDF, image or folder (try 'mineru-accel --help')")
    inputs = find_inputs(given)
    if args.dry_run:
        from . import dry_run

        return dry_run.run(inputs, options, as_json=args.progress == "json", cluster=args.cluster)
    _check_output(args.output)
    reporter = make_reporter("none" if args.quiet and args.progress != "json" else args.progress)
    summary_file = _SummaryFile(args.summary)

    def on_event(event: Event) -> None:
        summary_file.on_event(event)
        reporter.on_event(event)

    failed = False
    with reporter, Pipeline(options, on_event=on_event) as pipeline:
        results = pipeline.run(inputs, args.output, arrivals)
        del inputs  # the run lets go of each as it is done
        for result in results:
            failed |= not result.ok
            if arrivals:
                arrivals.done(result.path)
            if args.quiet and not result.ok:
                print(f"mineru-accel: {describe(result)}", file=sys.stderr)
            if reporter.broken:  # nobody reads on: stop, as other commands do
                return EXIT_FAILED
    return EXIT_FAILED if failed else EXIT_OK


class _SummaryFile:
    """Writes a run's summary to a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def on_event(self, event: Event) -> None:
        if self._path is not None and isinstance(event, RunDone):
            try:
                self._path.write_text(as_json(event.to_dict(), indent=2), encoding="utf-8")
            except OSError as error:
                logger.error("{}: can't write the summary: {}", self._path, error.strerror or error)


def _watched(args: argparse.Namespace) -> Arrivals | None:
    if args.watch is None:
        return None
    if args.dry_run:
        raise UsageError("--dry-run counts what is there, --watch waits for what is not: give one of them")
    from .watch import Arrivals

    try:
        return Arrivals(args.watch)
    except OSError as error:
        raise UsageError(f"{args.watch}: can't be watched: {error.strerror or error}") from error


def make_options(args: argparse.Namespace, **fields: Any) -> Options:
    """The options that were given among some arguments.

    Raises:
        UsageError: if they make no sense, by the name of the first flag that doesn't.
    """
    given = {name: getattr(args, name) for name in _FIELDS if getattr(args, name, None) is not None}
    if getattr(args, "vllm_args", None):
        given["vllm_args"] = parse(args.vllm_args)
    try:
        return Options(**given, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        flag = "--" + _FLAGS.get(name, name).replace("_", "-") + ": " if name else ""
        raise UsageError(flag + str(first["msg"]).removeprefix("Value error, ")) from error


def _check_output(output: Path) -> None:
    if is_url(output):
        return
    if os.path.lexists(output) and not output.is_dir():
        raise UsageError(f"{output}: is no folder")
    nearest = output
    while not nearest.exists():
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"{output}: no permission to write there")


def _set_up_logging(args: argparse.Namespace) -> None:
    """Set one level for this package; other libraries log only with debug."""
    import logging

    level = "ERROR" if args.quiet else ("WARNING", "INFO", "DEBUG")[min(args.verbose, 2)]
    level = (args.log_level or level).upper()
    os.environ[LOG_LEVEL] = level
    logger.remove()
    logger.add(sys.stderr, level=level, format="<level>{level: <7}</level> {message}", diagnose=False)
    if level != "DEBUG":
        logging.disable(logging.WARNING)
    else:
        os.environ[WORKER_OUTPUT] = "1"
