"""``mineru-accel bench quality``: conversions held against a ground truth (:mod:`.truth`), beside other systems.

- text: 1 - normalized edit distance of the whole text in order, without tables and display formulas (1.0: the same);
- order: OmniDocBench's reading-order edit distance of the blocks (0.0: as it should be);
- TEDS, TEDS-S: mean tree edit similarity of the tables, with and without the cells' texts (1.0: the same);
- formulas: mean normalized edit distance of the LaTeX (1.0 for one that is missing or a picture; 0.0: the same);
- AP50, AP50:95: COCO's, of the layout model's boxes.

Text is compared as a reader would (``bench/text.py``): no Markdown syntax, dashes and quotes made straight.
OmniDocBench itself leaves out spaces and punctuation, matches block by block and scores formulas by CDM, so its
figures differ: to get those, ``--keep DIR`` and run its own evaluation on the folder. A file that gave nothing counts
as empty.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import EXIT_FAILED, EXIT_OK, UsageError
from ..report.model import Chart, Column, Report, add_output, finish
from ..systems import peers
from ..systems.measure import say
from ..systems.system import Ours, System, convert
from . import truth
from .order import locate, order_distance
from .tables import html_tables, pairs, teds
from .text import levenshtein, normalize
from .truth import Truth

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
    """Print scores; 1 if any system that was asked for gave none."""
    parser = argparse.ArgumentParser(
        prog="mineru-accel bench quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="samples/, or a folder in OmniDocBench's format")
    parser.add_argument("-b", "--backend", nargs="+", default=["pipeline"], help="ours; default: %(default)s")
    parser.add_argument("--layout", nargs="+", default=["auto"], help="ours, as the command's; default: %(default)s")
    parser.add_argument("--options", default="", help="more options of ours, in one string: '--dpi 300'")
    peers.add_arguments(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only N files, spread evenly")
    parser.add_argument("--no-ap", action="store_true", help="don't score the layout model")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the Markdown in DIR/SYSTEM/NAME.md")
    parser.add_argument("--timeout", type=float, default=7200, metavar="S", help="of one system; default: %(default)s")
    add_output(parser)
    args = parser.parse_args(argv)
    items = truth.load(args.folder)
    if args.limit is not None:
        if args.limit < 1:
            raise UsageError("--limit: at least 1")
        items = items[:: max(1, -(-len(items) // args.limit))]
    if len({item.file.stem for item in items}) < len(items):
        raise UsageError(f"{args.folder}: two files have the same name")
    found, missing = peers.asked_for(args.against, args.peer)
    report = Report("quality", COLUMNS, Chart("Text that is right", "text", "1 - normalized edit distance"), argv)
    for name, why in missing.items():
        report.leave_out(name, why)
    more = tuple(args.options.split())
    systems: list[System] = [Ours(b, layout, more) for b in args.backend for layout in args.layout]
    for name, place in found.items():
        make = peers.KNOWN[name].make
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
    report: Report, systems: Sequence[System], items: Sequence[Truth], timeout: float, keep: Path | None = None
) -> None:
    """Convert and score, into ``report``: over all files, and over those that every system converted."""
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    converted: dict[str, set[str]] = {}
    for system in systems:
        say(f"{system.name}: {len(items)} files")
        texts = _converted(system, [item.file for item in items], timeout, report)
        report.settings[system.name] = system.settings
        if not isinstance(system, Ours):
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
    """Markdown by file: all at once, then those that gave nothing each by itself."""
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


def score(markdown: str, item: Truth) -> dict[str, Any]:
    """The scores of one file; lists have one value a table or formula."""
    text = normalize(_wanted(truth.plain_text(markdown), item))
    wanted = normalize(item.plain)
    longest = max(len(text), len(wanted))
    blocks = [block for b in item.texts if (block := normalize(b))]
    tables = pairs(html_tables(markdown), item.tables)
    return {
        "text": 1.0 - levenshtein(text, wanted) / longest if longest else 1.0,
        "order": order_distance(locate(text, blocks)) if blocks else None,
        "teds": [teds(mine, true) if mine else 0.0 for true, mine in tables],
        "teds_s": [teds(mine, true, structure=True) if mine else 0.0 for true, mine in tables],
        "formulas": _formula_distances(truth.display_formulas(markdown), item.formulas),
    }


def _wanted(plain: str, item: Truth) -> str:
    """The blocks of a text, less what the truth says may be there or not (within a quarter of its length)."""
    ignored = {t for text in item.ignored if (t := normalize(text))}
    wanted = {t for text in item.texts if (t := normalize(text))}

    def spare(block: str) -> bool:
        nearest = min((_distance(block, other) for other in ignored), default=1.0)
        return nearest < 0.25 and all(_distance(block, other) > nearest for other in wanted)

    return "\n\n".join(part for part in re.split(r"\n\s*\n", plain) if not spare(normalize(part)))


def _distance(one: str, two: str) -> float:
    """Normalized edit distance."""
    longest, difference = max(len(one), len(two)), abs(len(one) - len(two))
    if not longest or difference / longest >= 0.25:
        return difference / longest if longest else 0.0
    return levenshtein(one, two) / longest


_LATEX_NOISE = re.compile(
    r"\\(?:tag|hspace|begin|end)\s*\{.*?\}|\\(?:left|right|displaystyle|quad|qquad|notag)(?![A-Za-z])|\\[,;:! ]|[\s$~]"
    r"|\\(?:math(?:bf|rm|it|bb|cal|sf|tt)|text(?:bf|rm|it)?|operatorname|boldsymbol|bm)(?![A-Za-z])"
)


def _formula_distances(found: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """Of every true formula to the one found that is most like it; fonts, spacing and tags don't count."""
    mine = [_LATEX_NOISE.sub("", formula) for formula in found]
    out = []
    for formula in wanted:
        true = _LATEX_NOISE.sub("", formula)
        out.append(min((levenshtein(m, true) / max(len(m), len(true), 1) for m in mine), default=1.0))
    return out


def mean_scores(by_file: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Means over files (text, order), tables (TEDS) and formulas; None where there are none."""
    out: dict[str, float | None] = {}
    for key in ("text", "order", "teds", "teds_s", "formulas"):
        values: list[float] = []
        for scores in by_file.values():
            value = scores[key]
            values += value if isinstance(value, list) else [] if value is None else [value]
        out[key] = round(statistics.fmean(values), 4) if values else None
    return out


def layout_row(items: Sequence[Truth]) -> dict[str, Any]:
    """COCO AP of the layout model on the pages whose regions are known."""
    from ...layout import load_detector
    from ...layout.classes import CLASS_IDS
    from ...pdf.opening import close_documents, open_page
    from ...pdf.rendering import render
    from ...pdf.types import Key
    from .layout_ap import average_precision

    detector = load_detector(conf=0.005)
    truths, found = [], []
    for item in items:
        for index, regions in enumerate(item.pages):
            with open_page(Key(str(item.file), None), index) as page:
                pixels = render(page, detector.imgsz / max(page.get_size()))
            boxes = [[CLASS_IDS[r.label], r.score, *r.bbox] for r in detector.detect([pixels])[0]]
            truths.append(np.asarray([[CLASS_IDS[n], *b] for n, b in regions], np.float64).reshape(-1, 5))
            found.append(np.asarray(boxes, np.float64).reshape(-1, 6))
    by_class = average_precision(truths, found)
    mean = by_class.get("mean", {"AP50": None, "AP50:95": None})
    name = f"layout model: {detector.name}"
    detector.close()
    close_documents()
    row = {"case": f"{len(truths)} pages", "system": name, "ap50": mean["AP50"], "ap": mean["AP50:95"]}
    return row | {"classes": by_class}
