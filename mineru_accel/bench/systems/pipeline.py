"""``mineru-accel bench pipeline``: whole conversions in processes of their own, in turn with other systems.

From the command line to files on disk, models loaded anew each time. Each system first converts the files untimed; its
Markdown must have nine tenths of the words of the ground truth (``NAME.md`` beside ``NAME.pdf``) or, without one, of
the text layer. Files that some system can't do, or doesn't do well, are left out for all, and named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import EXIT_FAILED, EXIT_OK, UsageError
from ...pdf.plain_text import page_texts
from ..report.model import Chart, Column, Report, add_output, finish
from . import peers
from .measure import Trial, attempt, in_turn, median, say
from .system import Ours, System, convert, distinct

COLUMNS = (
    Column("case", "files"),
    Column("system", "system"),
    Column("seconds", "seconds", ".2f"),
    Column("pages_per_s", "pages/s", ".2f"),
    Column("ratio", "times as long as the first", ".2f"),
    Column("words", "words right", ".1%"),
)


def run(argv: Sequence[str]) -> int:
    """Print medians; 1 if any system that was asked for gave no figure."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench pipeline", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="PDFs, or folders of them")
    parser.add_argument("-b", "--backend", nargs="+", default=["pipeline"], help="ours; default: %(default)s")
    parser.add_argument("--layout", nargs="+", default=["auto"], help="ours, as the command's; default: %(default)s")
    parser.add_argument("--executor", nargs="+", default=["local"], help="ours: local, ray; default: %(default)s")
    parser.add_argument("--options", default="", help="more options of ours, in one string: '--workers 2'")
    peers.add_arguments(parser)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of each; default: %(default)s")
    parser.add_argument("--per-file", action="store_true", help="each file by itself; default: all in one process")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="of one process; default: %(default)s")
    add_output(parser)
    args = parser.parse_args(argv)
    if args.repeats < 1:
        raise UsageError("--repeats: at least 1")
    files = distinct(args.paths)
    found, missing = peers.asked_for(args.against, args.peer)
    report = Report("pipeline", COLUMNS, Chart("Whole conversions", "pages_per_s", "pages/s"), argv)
    for name, why in missing.items():
        report.leave_out(name, why)
    more = tuple(args.options.split())
    systems: list[System] = [
        Ours(b, layout, more, executor) for b in args.backend for layout in args.layout for executor in args.executor
    ]
    for name, place in found.items():
        make = peers.KNOWN[name].make
        if make is None:
            report.leave_out(name, "finds layout only: see bench layout and bench quality")
        else:
            systems.append(make(*place))
    measure(report, systems, files, args.repeats, args.timeout, per_file=args.per_file)
    finish(report, args)
    return EXIT_OK if report.rows and not report.not_run else EXIT_FAILED


def measure(
    report: Report, systems: Sequence[System], files: Sequence[Path], repeats: int, timeout: float, *, per_file: bool
) -> None:
    """Try the systems, then time them, into ``report``."""
    pages = {file: page_texts(str(file)) for file in files}
    trials: list[Trial] = []
    for system in systems:
        say(f"{system.name}: trying")
        trial = attempt(system, {f: _reference(f, texts) for f, texts in pages.items()}, timeout=timeout)
        if trial.sound:
            trials.append(trial)
            report.notes += [f"{system.name} left out {f.name}: {why}" for f, why in trial.unsound.items()]
        else:
            report.leave_out(system.name, next(iter(trial.unsound.values())))
        report.settings[system.name] = system.settings
        if not isinstance(system, Ours):
            report.versions[system.name] = system.version
    common = [f for f in files if all(f in t.sound for t in trials)]
    if not trials or not common:
        report.notes.append("there is no file that every system converts: nothing was timed")
        return
    report.settings["repeats"] = repeats
    for case in [[f] for f in common] if per_file else [common]:
        report.rows += _timed(trials, case, sum(len(pages[f]) for f in case), repeats, timeout, report)


def _timed(
    trials: Sequence[Trial], case: list[Path], pages: int, repeats: int, timeout: float, report: Report
) -> list[dict]:
    """One row a system."""
    name = case[0].name if len(case) == 1 else f"{len(case)} files"
    title = f"{name}, {pages} page{'s' if pages > 1 else ''}"
    stages: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}

    def once(system: System) -> Callable[[], float]:
        def timed() -> float:
            done = convert(system, case, timeout=timeout)
            say(f"{system.name}: {title}: {done.seconds:.2f} s")
            if done.error or len(done.texts) != len(case):
                failed[system.name] = done.error or "wrote no Markdown for a file"
            stages[system.name] = done.stages_ms
            return done.seconds

        return timed

    times = in_turn({t.system.name: once(t.system) for t in trials}, repeats)
    rows = []
    first = median(times[trials[0].system.name])
    for trial in trials:
        system = trial.system.name
        if system in failed:
            report.leave_out(system, f"{title}: {failed[system]}")
            continue
        seconds = median(times[system])
        rows.append(
            {
                "case": title,
                "system": system,
                "seconds": seconds,
                "all_seconds": [round(t, 3) for t in times[system]],
                "pages": pages,
                "pages_per_s": round(pages / seconds, 3),
                "ratio": round(seconds / first, 3),
                "words": round(min(trial.sound[f] for f in case), 4),
                "stages_ms": stages[system],
            }
        )
    return rows


def _reference(file: Path, texts: Sequence[str]) -> str:
    """The ground truth beside a file, or its text layer (empty for a scan)."""
    truth = file.with_suffix(".md")
    return truth.read_text(encoding="utf-8") if truth.exists() else "\n".join(texts)
