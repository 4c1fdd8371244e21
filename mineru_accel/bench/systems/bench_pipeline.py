"""``mineru-accel bench pipeline``: whole conversions in processes of their own, in turn with other systems.

Timed from the command line to files on disk, with models loaded anew each time. Each system first converts the files
untimed; its Markdown must have nine tenths of the words of the ground truth (``NAME.md`` beside ``NAME.pdf``) or,
without one, of the text layer. Files that some system does not convert completely are left out for all, and named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import EXIT_FAILED, EXIT_OK, UsageError
from ...pdf.plain_text import page_texts
from ..report.output import add_output, finish
from ..report.report import Chart, Column, Report
from . import peer_environments
from .completeness import CheckedSystem, check_system
from .system import MineruAccel, System, convert, input_files
from .timing import median, print_progress, run_in_turn

COLUMNS = (
    Column("case", "files"),
    Column("system", "system"),
    Column("seconds", "seconds", ".2f"),
    Column("pages_per_s", "pages/s", ".2f"),
    Column("ratio", "times as long as the first", ".2f"),
    Column("words", "words right", ".1%"),
)


def run(argv: Sequence[str]) -> int:
    """Print medians; 1 if a requested system has no figure."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench pipeline", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="PDFs, or folders of them")
    parser.add_argument("-b", "--backend", nargs="+", default=["pipeline"], help="ours; default: %(default)s")
    parser.add_argument("--layout", nargs="+", default=["auto"], help="ours, as the command's; default: %(default)s")
    parser.add_argument("--executor", nargs="+", default=["local"], help="ours: local, ray; default: %(default)s")
    parser.add_argument("--options", default="", help="more options of ours, in one string: '--workers 2'")
    peer_environments.add_arguments(parser)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of each; default: %(default)s")
    parser.add_argument("--per-file", action="store_true", help="each file by itself; default: all in one process")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="of one process; default: %(default)s")
    add_output(parser)
    args = parser.parse_args(argv)
    if args.repeats < 1:
        raise UsageError("--repeats: at least 1")
    files = input_files(args.paths)
    found, missing = peer_environments.requested_peers(args.against, args.peer)
    report = Report("pipeline", COLUMNS, Chart("Whole conversions", "pages_per_s", "pages/s"), argv)
    for name, why in missing.items():
        report.leave_out(name, why)
    more = tuple(args.options.split())
    systems: list[System] = [
        MineruAccel(b, layout, more, executor)
        for b in args.backend
        for layout in args.layout
        for executor in args.executor
    ]
    for name, place in found.items():
        make = peer_environments.PEERS[name].make
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
    """Check every system, then time those that pass; results go into ``report``."""
    pages = {file: page_texts(str(file)) for file in files}
    checked: list[CheckedSystem] = []
    for system in systems:
        print_progress(f"{system.name}: trying")
        result = check_system(system, {f: _reference(f, texts) for f, texts in pages.items()}, timeout=timeout)
        if result.accepted:
            checked.append(result)
            report.notes += [f"{system.name} left out {f.name}: {why}" for f, why in result.rejected.items()]
        else:
            report.leave_out(system.name, next(iter(result.rejected.values())))
        report.settings[system.name] = system.settings
        if not isinstance(system, MineruAccel):
            report.versions[system.name] = system.version
    common = [f for f in files if all(f in t.accepted for t in checked)]
    if not checked or not common:
        report.notes.append("there is no file that every system converts: nothing was timed")
        return
    report.settings["repeats"] = repeats
    for case in [[f] for f in common] if per_file else [common]:
        report.rows += _timed(checked, case, sum(len(pages[f]) for f in case), repeats, timeout, report)


def _timed(
    checked: Sequence[CheckedSystem], case: list[Path], pages: int, repeats: int, timeout: float, report: Report
) -> list[dict]:
    """Time the systems in turn on one case; one row per system."""
    name = case[0].name if len(case) == 1 else f"{len(case)} files"
    title = f"{name}, {pages} page{'s' if pages > 1 else ''}"
    stages: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}

    def once(system: System) -> Callable[[], float]:
        def timed() -> float:
            done = convert(system, case, timeout=timeout)
            print_progress(f"{system.name}: {title}: {done.seconds:.2f} s")
            if done.error or len(done.texts) != len(case):
                failed[system.name] = done.error or "wrote no Markdown for a file"
            stages[system.name] = done.stages_ms
            return done.seconds

        return timed

    times = run_in_turn({t.system.name: once(t.system) for t in checked}, repeats)
    rows = []
    first = median(times[checked[0].system.name])
    for each in checked:
        system = each.system.name
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
                "words": round(min(each.accepted[f] for f in case), 4),
                "stages_ms": stages[system],
            }
        )
    return rows


def _reference(file: Path, texts: Sequence[str]) -> str:
    """Ground truth beside a file, or its text layer (empty for a scan)."""
    truth = file.with_suffix(".md")
    return truth.read_text(encoding="utf-8") if truth.exists() else "\n".join(texts)
