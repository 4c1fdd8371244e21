"""The HTML of the web page's components. Every text of a document or a user is escaped here."""

from __future__ import annotations

import base64
import re
from html import escape

from ..conversion.progress import duration
from ..document import PageStatus, Source
from ..events import PageDone
from ..export.types import PageView, RegionView
from ..reading.geometry import clamped
from .conversion import Conversion, File, State
from .sessions import Selection
from .theme import STAGES, kind
from .translations import translate

_MAX_PAGE_BUTTONS = 200
"""Pages of a document for which each gets a button; the slider serves longer ones."""
_MAX_BARS = 60
"""Maximum bars in the plot of timings."""
_NAMED_PICTURE = re.compile(
    r"!(?=\[)(?!\[[^\]]{0,400}\]\(data:image/)"  # Markdown
    r"|<(?=img\b)(?![^>]{0,400}\bsrc=[\"']?data:image/)",  # HTML
    re.IGNORECASE,
)
_DOLLAR = re.compile(r"(?<!\\)\$\$(?:\\.|[^\\])*?\$\$|(?<!\\)\$(?:\\.|[^$\\\n])+\$|\\\$", re.DOTALL)
"""Formulas, which are left as they are, and escaped dollars, of which Gradio takes two for a formula's."""

_LOGO = (
    '<svg width="34" height="34" viewBox="0 0 34 34" aria-hidden="true" fill="#a5b4fc">'
    '<rect x="1" y="1" width="32" height="32" rx="9" fill="#4f46e5"/>'
    '<rect x="8" y="7" width="18" height="4" rx="2" fill="#fff"/>'
    '<rect x="8" y="14" width="8" height="13" rx="2" fill="#c7d2fe"/>'
    '<path d="M19.5 15.5h5M19.5 20.5h5M19.5 25.5h5" stroke="#a5b4fc" stroke-width="3" stroke-linecap="round"/></svg>'
)
_SHEET = (
    '<svg width="64" height="64" viewBox="0 0 64 64" fill="none" stroke="currentColor" stroke-width="2.5" '
    'stroke-linejoin="round" aria-hidden="true"><path d="M16 6h22l12 12v40H16z"/><path d="M38 6v12h12"/>'
    '<path d="M23 28h20M23 36h20M23 44h12" stroke-linecap="round"/></svg>'
)


def header(lang: str) -> str:
    """The top of the web page."""
    theme = escape(translate(lang, "theme"))
    return (
        f'<div class="ma-head">{_LOGO}<div><h1>MinerU Accel</h1><p>{escape(translate(lang, "tagline"))}</p></div>'
        f'<button id="ma-theme" type="button" title="{theme}" aria-label="{theme}">◐</button></div>'
    )


def placeholder(lang: str) -> str:
    """In place of a page while there is none."""
    title, text = translate(lang, "empty_title"), translate(lang, "empty")
    return f'<div class="ma-empty">{_SHEET}<strong>{title}</strong><span>{text}</span></div>'


def problem(error: str) -> str:
    """In place of a document that has no pages to show."""
    return f'<div class="ma-empty">{_SHEET}<span>{escape(error)}</span></div>'


def progress(conversion: Conversion, selection: Selection, waiting: int, lang: str) -> str:
    """The bar, the files with their states, and buttons for the pages of the selected one.

    Args:
        conversion: Is shown.
        selection: The selected page.
        waiting: Number of documents in the server's queue.
        lang: Language of the texts.
    """
    counts = conversion.progress
    done, expected = counts.pages_done, counts.pages_expected
    details = []
    if conversion.finished:
        share = 1.0
        title = translate(lang, f"state_{_outcome(conversion)}")
        pages = translate(lang, "page_done" if done == 1 else "pages_done", n=done)
    else:
        share = min(1.0, done / expected) if expected else 0.0
        title = translate(lang, _state_of_unfinished(conversion))
        pages = translate(lang, "of_pages", done=done, total=expected) if expected else ""
        if not expected and waiting:
            details.append(translate(lang, "queue", n=waiting))
        if counts.eta and done < expected:
            details.append(translate(lang, "eta", time=duration(counts.eta)))
    if done and not conversion.finished:
        details.insert(0, translate(lang, "rate", rate=f"{counts.rate:.1f}"))
    bad = " ma-bad" if conversion.finished and _outcome(conversion) == "failed" else ""
    files = "".join(_file(f, f.number == selection.file and len(conversion.files) > 1, lang) for f in conversion.files)
    return (
        f'<div class="ma-progress" role="status"><div class="ma-line"><b>{title}</b>'
        f"<span>{' · '.join(filter(None, [pages, *details]))}</span></div>"
        f'<div class="ma-bar{bad}" role="progressbar" aria-valuenow="{100 * share:.0f}"><i style="width:{share:.1%}">'
        f'</i></div><div class="ma-files">{files}</div>'
        f"{_page_buttons(conversion.files[selection.file], selection)}</div>"
    )


def _state_of_unfinished(conversion: Conversion) -> str:
    states = {f.state for f in conversion.files}
    return next((s.value for s in (State.RUNNING, State.LOADING) if s in states), State.WAITING.value)


def _outcome(conversion: Conversion) -> str:
    states = {f.state for f in conversion.files}
    if State.CANCELLED in states:
        return "cancelled"
    if states == {State.FAILED}:
        return "failed"
    return "partly" if State.FAILED in states or any(f.partly for f in conversion.files) else "done"


def _file(file: File, current: bool, lang: str) -> str:
    state = "partly" if file.partly else file.state.value
    count = translate(lang, file.state.value)
    if file.indices:
        pages = f"{len(file.pages)} / {len(file.indices)}"
        count = f"{count} · {pages}" if file.state in (State.CANCELLED, State.FAILED) else pages
    notes = []
    if file.error:
        notes.append(f'<span class="ma-error">{escape(file.error)}</span>')
    if failed := file.failed:
        numbers = ", ".join(str(i + 1) for i in failed[:8]) + (", ..." if len(failed) > 8 else "")
        why = file.pages[failed[0]].error or ""
        text = translate(lang, "failed_pages", pages=numbers)
        notes.append(f'<span class="ma-error">{escape(text)}: {escape(why)}</span>')
    if file.limited:
        text = translate(lang, "first_pages", n=len(file.indices))
        notes.append(f'<span class="ma-note">{escape(text)}</span>')
    name = escape(file.name)
    return (
        f'<button type="button" class="ma-file" data-file="{file.number}" aria-current="{str(current).lower()}">'
        f'<span class="ma-dot {state}"></span><span class="ma-name" title="{name}">{name}</span>'
        f'<span class="ma-count">{escape(count)}</span>{"".join(notes)}</button>'
    )


def _page_buttons(file: File, selection: Selection) -> str:
    if not 1 < len(file.indices) <= _MAX_PAGE_BUTTONS:
        return ""
    buttons = []
    for position, index in enumerate(file.indices):
        page = file.pages.get(index)
        buttons.append(
            f'<button type="button" class="ma-chip {page.status if page else ""}" data-page="{position}" '
            f'aria-current="{str(position == selection.position).lower()}">{index + 1}</button>'
        )
    return f'<div class="ma-chips">{"".join(buttons)}</div>'


def page_picture(page: PageDone | None, index: int, picture: bytes | None, view: PageView, lang: str) -> str:
    """A page's picture under its regions, which are buttons numbered in reading order."""
    parts = []
    if page is None:
        parts.append(f'<div class="ma-banner">{escape(translate(lang, "page_waiting"))}</div>')
    elif page.status is PageStatus.FAILED:
        text = translate(lang, "page_failed", error=page.error or "")
        parts.append(f'<div class="ma-banner ma-bad">{escape(text)}</div>')
    elif page.warnings:
        items = "".join(f"<li>{escape(w)}</li>" for w in page.warnings)
        title = translate(lang, "remark" if len(page.warnings) == 1 else "remarks", n=len(page.warnings))
        parts.append(f'<details class="ma-banner"><summary>{title}</summary><ul>{items}</ul></details>')
    if picture:
        regions = "".join(_region(n, region, lang) for n, region in enumerate(view.regions, 1))
        data = base64.b64encode(picture).decode()
        alt = escape(translate(lang, "page_n", n=index + 1))
        parts.append(f'<div class="ma-sheet"><img alt="{alt}" src="data:image/webp;base64,{data}">{regions}</div>')
    kinds = dict.fromkeys(kind(region.type) for region in view.regions)
    legend = "".join(f'<span class="{k}">{escape(translate(lang, f"kind_{k}"))}</span>' for k in kinds)
    return "".join(parts) + (f'<div class="ma-legend">{legend}</div>' if legend else "")


def _region(number: int, region: RegionView, lang: str) -> str:
    x0, y0, x1, y1 = clamped(region.bbox)
    name = kind(region.type)
    place = f"left:{x0:.3%};top:{y0:.3%};width:{x1 - x0:.3%};height:{y1 - y0:.3%}"
    label = escape(translate(lang, "region", n=number, kind=translate(lang, f"kind_{name}")))
    passage = "" if region.passage is None else region.passage
    return (
        f'<button type="button" class="ma-region {name}" style="{place}" data-region="{number}" data-part="{passage}" '
        f'title="{label}" aria-label="{label}"><i>{number}</i></button>'
    )


def markdown(view: PageView) -> str:
    """A page's Markdown, each passage in an element of its own."""
    passages = map(_escape_for_gradio, view.passages)
    return "\n\n".join(f'<div class="ma-part ma-part-{n}">\n\n{text}\n\n</div>' for n, text in enumerate(passages))


def _escape_for_gradio(markdown: str) -> str:
    """Markdown for Gradio's component, which is to show no picture that the document only names."""
    markdown = _NAMED_PICTURE.sub(lambda found: "&#33;" if found[0] == "!" else "&lt;", markdown)
    return _DOLLAR.sub(lambda found: "<span>&#36;</span>" if found[0] == "\\$" else found[0], markdown)


def regions(view: PageView, lang: str) -> str:
    """The page's regions as a table."""
    head = "".join(
        f"<th>{escape(translate(lang, f'col_{name}'))}</th>" for name in ("number", "class", "text", "score", "source")
    )
    rows = []
    for number, region in enumerate(view.regions, 1):
        name = kind(region.type)
        passage = "" if region.passage is None else region.passage
        cells = (
            str(number),
            f'<span class="ma-swatch {name}">{escape(region.label)}</span>',
            escape(region.type),
            "" if region.score is None else f"{region.score:.2f}" if region.score else translate(lang, "region_missed"),
            escape(_source(region, lang)),
        )
        tds = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr data-region="{number}" data-part="{passage}">{tds}</tr>')
    return f'<table class="ma-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _source(region: RegionView, lang: str) -> str:
    kept = region.source == Source.IMAGE and region.type in ("table", "equation")
    return translate(lang, "source_fallback" if kept else f"source_{region.source}")


def timings(file: File, lang: str) -> str:
    """A bar for each page, of the seconds that its stages took; long documents have several pages in a bar."""
    pages_per_bar = -(-len(file.indices) // _MAX_BARS) or 1
    bars: list[tuple[str, dict[str, float]]] = []
    for start in range(0, len(file.indices), pages_per_bar):
        group = file.indices[start : start + pages_per_bar]
        stages: dict[str, float] = {}
        for page in (file.pages[i] for i in group if i in file.pages):
            for stage, seconds in page.timings.items():
                stages[stage] = stages.get(stage, 0.0) + seconds
        bars.append((str(group[0] + 1) if len(group) == 1 else f"{group[0] + 1}-{group[-1] + 1}", stages))
    longest = max((sum(stages.values()) for _, stages in bars), default=0.0)
    if not longest:
        return ""
    known = [s for s in STAGES if any(s in stages for _, stages in bars)]
    known += sorted({s for _, stages in bars for s in stages} - set(STAGES))
    legend = "".join(f'<span style="--c:{_colour(stage)}">{escape(stage)}</span>' for stage in known)
    rows = []
    for name, stages in bars:
        pieces = "".join(
            f'<i style="width:{stages[stage] / longest:.2%};background:{_colour(stage)}" '
            f'title="{escape(stage)}: {stages[stage]:.2f} s"></i>'
            for stage in known
            if stage in stages
        )
        rows.append(f"<span>{name}</span><div>{pieces}</div><span>{sum(stages.values()):.2f} s</span>")
    title = escape(translate(lang, "timings"))
    return (
        f'<div class="ma-timings"><b>{title}</b><div class="ma-legend">{legend}</div>'
        f'<div class="ma-bars">{"".join(rows)}</div></div>'
    )


def _colour(stage: str) -> str:
    return STAGES.get(stage, "#64748b")
