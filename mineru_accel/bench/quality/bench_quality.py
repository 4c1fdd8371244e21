"""``mineru-accel bench quality``: conversions compared with a ground truth, beside other systems.

- text: 1 - normalized edit distance of the whole text in order, without tables and display formulas (1.0: the same);
- order: OmniDocBench's reading-order edit distance of the blocks (0.0: the true order);
- TEDS, TEDS-S: mean tree edit similarity of the tables, with and without the cells' texts (1.0: the same);
- formulas: mean normalized edit distance of the LaTeX (1.0 for one that is missing or a picture; 0.0: the same);
- AP50, AP50:95: COCO's, of the layout model's boxes.

Text is compared without Markdown syntax, with straight dashes and quotes. OmniDocBench itself leaves out spaces and
punctuation, matches block by block and scores formulas by CDM, so its figures differ: for those, use ``--keep DIR`` and
run its own evaluation on the folder. A file without a result counts as empty.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_FAILED, EXIT_OK, UsageError
from ..report.output import add_output, finish
from ..report.report import Chart, Column, Report
from ..systems import peer_environments
from ..systems.system import MineruAccel, System, convert
from ..systems.timing import print_progress
from . import ground_truth
from .ground_truth import GroundTruth
from .layout_scores import layout_row
from .scores import mean_scores, score

COLUMNS = (
    Column("case", "files"),
    Column("system", "system"),
    Column("failed", "failed"),
    Column("text", "text", ".4f"),
    Column("order", "order", ".4f"),
    Column("teds", "TEDS", ".4f"),
    Column("teds_s", "TEDS-S", ".4f"),
    Column("formulas", "formulas", ".4f"),
    Column("ap50", "AP50", ".3f"),
    Column("ap", "AP50:95", ".3f"),
)


def run(argv: Sequence[str]) -> int:
    """Print scores; 1 if a requested system has none."""
    parser = argparse.ArgumentParser(
        prog="mineru-accel bench quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="samples/, or a folder in OmniDocBench's format")
    parser.add_argument("-b", "--backend", nargs="+", default=["pipeline"], help="ours; default: %(default)s")
    parser.add_argument("--layout", nargs="+", default=["auto"], help="ours, as the command's; default: %(default)s")
    parser.add_argument("--options", default="", help="more options of ours, in one string: '--dpi 300'")
    peer_environments.add_arguments(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only N files, spread evenly")
    parser.add_argument("--no-ap", action="store_true", help="don't score the layout model")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the Markdown in DIR/SYSTEM/NAME.md")
    parser.add_argument("--timeout", type=float, default=7200, metavar="S", help="of one system; default: %(default)s")
    add_output(parser)
    args = parser.parse_args(argv)
    items = ground_truth.load(args.folder)
    if args.limit is not None:
        if args.limit < 1:
            raise UsageError("--limit: at least 1")
        items = items[:: max(1, -(-len(items) // args.limit))]
    if len({item.file.stem for item in items}) < len(items):
        raise UsageError(f"{args.folder}: two files have the same name")
    found, missing = peer_environments.requested_peers(args.against, args.peer)
    report = Report("quality", COLUMNS, Chart("Text that is right", "text", "1 - normalized edit distance"), argv)
    for name, why in missing.items():
        report.leave_out(name, why)
    more = tuple(args.options.split())
    systems: list[System] = [MineruAccel(b, layout, more) for b in args.backend for layout in args.layout]
    for name, place in found.items():
        make = peer_environments.PEERS[name].make
        if make is None:
            report.leave_out(name, "with the same weights it finds the same boxes as ours: see bench layout")
        else:
            systems.append(make(*place))
    compare(report, systems, items, args.timeout, args.keep)
    if not args.no_ap and any(item.pages for item in items):
        report.rows.append(layout_row(items))
    finish(report, args)
    return EXIT_OK if report.rows and not report.not_run else EXIT_FAILED


def compare(
    report: Report, systems: Sequence[System], items: Sequence[GroundTruth], timeout: float, keep: Path | None = None
) -> None:
    """Convert and score into ``report``: over all files, and over those that every system converted."""
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    converted: dict[str, set[str]] = {}
    for system in systems:
        print_progress(f"{system.name}: {len(items)} files")
        texts = _converted(system, [item.file for item in items], timeout, report)
        report.settings[system.name] = system.settings
        if not isinstance(system, MineruAccel):
            report.versions[system.name] = system.version
        if not texts:
            continue
        for file, markdown in texts.items() if keep else ():
            place = (keep or Path()) / system.name / f"{file.stem}.md"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(markdown, encoding="utf-8")
        scores[system.name] = {item.file.name: score(texts.get(item.file, ""), item) for item in items}
        converted[system.name] = {file.name for file in texts}
    common = set.intersection(*converted.values()) if converted else set()
    names = [item.file.name for item in items]
    cases = [f"all {len(names)}", f"the {len(common)} that all convert"] if len(common) < len(names) else ["all"]
    for case, chosen in zip(cases, (names, [n for n in names if n in common]), strict=False):
        for name, by_file in scores.items() if chosen else ():
            row: dict[str, Any] = {"case": case, "system": name, **mean_scores({f: by_file[f] for f in chosen})}
            row["failed"] = sum(f not in converted[name] for f in chosen)
            report.rows.append(row | ({"files": by_file} if chosen is names else {}))


def _converted(system: System, files: list[Path], timeout: float, report: Report) -> dict[Path, str]:
    """Markdown by file: all in one process, then those without a result each in a process of its own."""
    whole = convert(system, files, timeout=timeout)
    if not whole.texts:
        report.leave_out(system.name, whole.error or "wrote no Markdown")
        return {}
    texts = dict(whole.texts)
    for file in files:
        if file not in texts:
            alone = convert(system, [file], timeout=timeout)
            texts.update(alone.texts)
            if file not in texts:
                report.notes.append(f"{system.name} gave nothing for {file.name}: {alone.error or 'no Markdown'}")
    return texts
