"""Plots of reports (:mod:`.report`) as SVG; text stays text. Needs matplotlib (``mineru-accel[bench]``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_OUR_PREFIX = "mineru-accel"
_OUR_COLOUR, _OTHER_COLOUR = "#2a78d6", "#9aa3ad"
_STAGES = ["#2a78d6", "#1baf7a", "#eda100", "#e34948", "#7a5ad6", "#8a939c", "#4fb3bf", "#c06090"]


def draw_chart(report: dict[str, Any], path: Path) -> str | None:
    """Draw the report's chart. Returns None, or the reason why there is no plot."""
    chart = report["chart"]
    if not chart:
        return "this benchmark has no chart"
    rows = [r for r in report["rows"] if r.get(chart["value"]) is not None]
    bars = [(str(r.get(chart["group"], "")), str(r[chart["label"]]), float(r[chart["value"]])) for r in rows]
    return _bars(bars, f"{chart['title']}, {report['date']}", chart["unit"], path)


def draw_throughput(reports: Sequence[dict[str, Any]], path: Path) -> str | None:
    """Draw pages/s by case and machine, one bar per system. Returns None, or the reason why there is no plot."""
    bars = [
        (f"{row['case']}\n{_place(report)}", str(row["system"]), float(row["pages_per_s"]))
        for report in reports
        for row in report["rows"]
        if row.get("pages_per_s") is not None
    ]
    return _bars(bars, "Pages a second", "pages/s", path)


def draw_stages(reports: Sequence[dict[str, Any]], path: Path) -> str | None:
    """Draw milliseconds of work per page and stage, one stacked bar per row. Returns None, or why there is no plot."""
    rows = [
        (f"{row['system']}\n{row['case']}\n{_place(report)}", row["stages_ms"])
        for report in reports
        for row in report["rows"]
        if row.get("stages_ms")
    ]
    if not rows:
        return "no row says where its time goes"
    if (plt := _pyplot()) is None:
        return _MISSING
    names = list(dict.fromkeys(name for _, times in rows for name in times))
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.75 * len(rows)))
    left = [0.0] * len(rows)
    for i, name in enumerate(names):
        widths = [times.get(name, 0.0) for _, times in rows]
        axes.barh(range(len(rows)), widths, left=left, height=0.6, color=_STAGES[i % len(_STAGES)], label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ms of work a page (stages of different pages run at once)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, 1.0 + 0.5 / len(rows)), ncols=len(names), frameon=False)
    _save(plt, figure, axes, path)
    return None


def _place(report: dict[str, Any]) -> str:
    """Machine and date in a few words."""
    m = report["machine"]
    gpus = [name.split(",")[0] for name in m["gpus"]]
    place = (f"{len(gpus)}x {gpus[0]}" if len(gpus) > 1 else gpus[0]) if gpus else f"{m['cores']} cores, no GPU"
    busy = f", machine busy: load {m['load'][0]}" if m["load"] and m["load"][0] > m["cores"] else ""
    return f"{place}, {report['date']}{busy}"


_MISSING = "matplotlib is not installed: pip install 'mineru-accel[bench]'"


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "mineru-accel", "font.size": 9, "axes.axisbelow": True}
    )
    return plt


def _bars(bars: Sequence[tuple[str, str, float]], title: str, unit: str, path: Path) -> str | None:
    """Draw horizontal bars of (group, label, value) in the given order, with a heading over each group."""
    if not bars:
        return "nothing was measured"
    if (plt := _pyplot()) is None:
        return _MISSING
    places: list[float] = []
    headings: list[tuple[float, str]] = []
    y, last = 0.0, None
    for group, _, _ in bars:
        if group != last:
            y += 0.5 + 0.5 * (1 + group.count("\n")) if group else 0.0
            headings.append((y - 0.6, group))
            last = group
        places.append(y)
        y += 1.0
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.32 * y))
    values = [value for _, _, value in bars]
    colours = [_OUR_COLOUR if label.startswith(_OUR_PREFIX) else _OTHER_COLOUR for _, label, _ in bars]
    drawn = axes.barh(places, values, height=0.75, color=colours)
    axes.bar_label(drawn, labels=[f"{v:.0f}" if v >= 100 else f"{v:.3g}" for v in values], padding=3)
    for at, group in headings:
        axes.text(0.0, at, group, transform=axes.get_yaxis_transform(), va="bottom", ha="left", fontweight="bold")
    axes.set_yticks(places, [label for _, label, _ in bars])
    axes.set_ylim(y - 0.4, -0.3)
    if 0 < 30 * min(values) < max(values):  # a CPU's bars beside a GPU's
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 2, 2 * max(values))
    else:
        axes.set_xlim(0, 1.12 * max(values) or 1.0)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left")
    _save(plt, figure, axes, path)
    return None


def _save(plt: Any, figure: Any, axes: Any, path: Path) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#00000018")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)
