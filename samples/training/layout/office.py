"""Families of pages for what the second weights did badly, seen on real pages labelled by hand.

Tables whose cells hold lists, bold and coloured captions that look like headings, headings of two and three lines,
listings in boxes with empty lines, axis titles far from their plot, footnotes hardly smaller than the text, notes in
the margin beside a paragraph, lone page numbers in a corner, exam questions with blanks and fractions in the line.
"""

# ruff: noqa: E501 - a line of HTML is a line
from __future__ import annotations

import html

from . import figures
from .blocks import FIGURE, TABLE, Blocks
from .dense import CIRCLED, close_list, listing, notes, ptext
from .templates import Family, at, columns, colw, margins


def strong_caption(b: Blocks, kind: str) -> str:
    """A caption as bold, coloured or large as a heading, one line or several."""
    r = b.rng
    words = FIGURE if kind == "figure_caption" else TABLE
    word = words.get(
        b.language, r.choice(["Figure", "Fig.", "FIGURE"] if words is FIGURE else ["Table", "TABLE", "Tab."])
    )
    number = r.choice(
        [
            str(r.randint(1, 30)),
            f"{r.randint(1, 9)}.{r.randint(1, 20)}",
            f"{r.choice('ABC')}{r.randint(1, 9)}",
            f"{r.randint(1, 9)}-{r.randint(1, 20)}",
        ]
    )
    lead = f"{word} {number}{r.choice([':', '.', ' –', '  ', '：' if b.cjk else '.', ''])} "
    body = r.choice([lambda: b.phrase(3, 10), lambda: b.prose(4, 14), lambda: b.prose(12, 45)])()
    if r.random() < 0.5:
        lead = f"<b>{lead}</b>"
    css = r.choice(
        [
            "font-weight:700",
            "font-weight:700",
            "",
            "",
            f"color:{b.style.accent}",
            f"font-weight:700;font-family:'{b.style.heading_font}'",
            "font-style:italic",
            "font-variant:small-caps",
        ]
    )
    align = r.choice(["center", "left", "justify", "center"])
    inset = r.choice([0, 0, 0, 1.5, 3])
    return ptext(
        lead + body,
        f"{css};text-align:{align};margin:.5em {inset}em;font-size:{r.choice([0.85, 0.92, 1, 1])}em;line-height:{r.choice([1.15, 1.3])}",
        kind,
    )


def list_table(b: Blocks) -> str:
    """A table with lists, short words and sentences in tall cells; coloured or black rules, a tinted head."""
    r = b.rng
    cols = r.choice([2, 2, 3, 3, 4])
    c, thick = r.choice([b.style.accent, "#000", "#444", "#999"]), r.choice([0.6, 1, 1, 2, 3])
    rule = r.choice(
        [
            f"border:{thick}px solid {c}",
            f"border:{thick}px solid {c}",
            f"border-bottom:{thick}px solid {c}",
            "border:none",
        ]
    )
    pad = r.choice([3, 6, 10, 16])
    mark = r.choice(["•", "–", "■", "1.", "◦"])

    def cell(j: int) -> str:
        k = r.random()
        if j == 0 or k < 0.3:
            return b.phrase(1, 5)
        if k < 0.45:
            return b.number()
        if k < 0.7:
            return b.prose(5, 30)
        items = (
            f"<div style='padding-left:1.2em;text-indent:-1.2em'>{mark.replace('1', str(i + 1))} {b.phrase(2, 14)}</div>"
            for i in range(r.randint(2, 5))
        )
        return "".join(items)

    head = figures.colour(r, (70, 93)) if r.random() < 0.6 else "transparent"
    rows = [
        f"<tr style='background:{head}'>"
        + "".join(f"<th style='{rule};padding:{pad}px;text-align:left'>{b.phrase(1, 3)}</th>" for _ in range(cols))
        + "</tr>"
    ]
    for _ in range(r.randint(2, 6)):
        rows.append(
            "<tr>"
            + "".join(
                f"<td style='{rule};padding:{pad}px;text-align:left;vertical-align:{r.choice(['top', 'middle'])}'>{cell(j)}</td>"
                for j in range(cols)
            )
            + "</tr>"
        )
    table = f'<table data-l="table" data-box="el" style="width:{r.choice([100, 100, 92, 80])}%;font-size:{r.choice([0.8, 0.9, 1])}em">{"".join(rows)}</table>'
    parts = [table]
    if r.random() < 0.75:
        parts.insert(r.choice([0, 0, 1]), strong_caption(b, "table_caption"))
    if r.random() < 0.35:
        parts.append(notes(b, 0.85))
    return f'<div style="break-inside:avoid;margin:1em 0">{"".join(parts)}</div>'


def plot(b: Blocks, w: float) -> str:
    """A chart whose axis titles are large and stand away from it, and its caption."""
    r = b.rng
    h = min(w * r.uniform(0.45, 0.8), 360)
    name = b.phrase(1, 3) + r.choice(["", " (K)", " (%)", " [mm]", ", 10<sup>4</sup> A/m", " (t)"])
    side = (
        f'<div style="writing-mode:vertical-rl;transform:rotate(180deg);text-align:center">{b.phrase(1, 4)}</div>'
        if r.random() < 0.6
        else ""
    )
    font = f"font:{r.choice([400, 400, 700])} {r.choice([11, 14, 17, 20])}px '{r.choice(['Liberation Sans', b.style.font, b.style.heading_font])}'"
    far = r.choice([2, 8, 16, 24])
    inner = (f'<div style="display:flex;gap:{far}px;{font}">{side}<div style="flex:1"><div style="height:{h:.0f}px">{b.drawing(w * 0.8, h)}</div>'
             f'<div style="text-align:center;margin-top:{far}px">{name}</div></div></div>')  # fmt: skip
    share = r.choice([60, 75, 90, 100])
    box = f'<div data-l="figure" data-box="el" style="width:{share}%;margin:0 auto;overflow:hidden">{inner}</div>'
    cap = strong_caption(b, "figure_caption") if r.random() < 0.5 else b.caption("figure_caption")
    return f'<div style="break-inside:avoid;margin:1em 0">{box}{cap}</div>'


def long_heading(b: Blocks) -> str:
    """A numbered heading of one to three lines, and perhaps only a few words below it."""
    r = b.rng
    number = r.choice(
        [
            "",
            f"{r.randint(1, 9)}.{r.randint(1, 9)}",
            f"{r.randint(1, 9)}",
            f"{r.choice('ABC')}.{r.randint(1, 9)}.{r.randint(1, 9)}.",
            f"§ {r.randint(1, 60)}",
        ]
    )
    size, weight = r.choice([1, 1.1, 1.25, 1.5]), r.choice([700, 700, 700, 400])
    style = r.choice(["", "", "font-style:italic", f"color:{b.style.accent}", "font-variant:small-caps"])
    hang = r.choice([0, 2.2]) if number else 0
    body = f'<span style="display:inline-block;min-width:{hang}em;text-indent:0">{number} </span>{b.phrase(4, 26)}'
    out = ptext(
        body,
        f"font:{weight} {size}em '{b.style.heading_font}','{b.style.font}';line-height:1.25;margin:{r.choice([0.8, 1.4])}em 0 .5em;padding-left:{hang}em;text-indent:-{hang}em;{style}",
        "title",
    )
    return out + (ptext(b.phrase(1, 4) + ".", "margin:.4em 0") if r.random() < 0.35 else "")


def boxed_listing(b: Blocks) -> str:
    """A listing of loose lines, some empty, in a grey or framed box: one region."""
    r = b.rng
    forms = [
        "\\begin{{{}}}[{}]",
        "\\end{{{}}}",
        "\\{}{{{}}}",
        "  \\{}[{}={}]{{{}}}",
        "{} {} {} {} {}",
        "  [...]",
        "% {} {}",
        "<{} {}='{}'>",
        "{}: {}",
        "$ {} {}",
    ]
    word = lambda: html.escape(b.phrase(1, 1)[:12])  # noqa: E731
    lines = []
    for _ in range(r.randint(1, 12)):
        lines.append(r.choice(forms).format(*(word() for _ in range(6))))
        if r.random() < 0.12:
            lines.append("")
    css = r.choice(
        [
            "background:#ccc",
            "background:#eee",
            f"background:{figures.colour(r, (90, 97))}",
            "border:1px solid #000",
            f"border:3px solid {b.style.accent};border-radius:8px",
            "background:#f6f8fc",
            "",
        ]
    )
    label = ptext(
        "\n".join(lines),
        f"font-family:'{b.style.mono}';white-space:pre-wrap;line-height:{r.choice([1.15, 1.35, 1.6])};letter-spacing:{r.choice([0, 0, 0, 0.08])}em;font-size:{r.choice([0.8, 0.9, 1])}em",
    )
    return f'<div style="{css};padding:{r.choice([4, 10, 18])}px;margin:.8em 0;break-inside:avoid">{label}</div>'


def question(b: Blocks, i: int, w: float) -> str:
    """A question with fractions and a blank in its line, and its options in a row: plain text."""
    r = b.rng

    def fraction() -> str:
        return f'<span style="display:inline-flex;flex-direction:column;vertical-align:middle;text-align:center;font-style:italic;padding:0 .2em"><span style="border-bottom:1px solid #000">{r.choice(["1", "dy", "n", "f(x)", "x + 1"])}</span><span>{r.choice(["x", "dx", "n − 1", "2", "x²"])}</span></span>'

    blank = (
        f'<span style="display:inline-block;width:{r.choice([4, 7, 10])}em;border-bottom:1px solid #000">&nbsp;</span>'
    )
    parts = [
        b.phrase(2, 9),
        *(
            r.choice([fraction(), "lim", "<i>x</i> → 0", "(&emsp;)", b.phrase(1, 4), "<i>f</i>(<i>x</i>) ="])
            for _ in range(r.randint(1, 4))
        ),
        r.choice([blank, "(&emsp;).", b.phrase(1, 6)]),
    ]
    out = ptext(
        f"{r.choice([f'<b>{i}.</b>', f'{i}.', f'{i}．', f'({i})'])} {' '.join(parts)}",
        "margin:.7em 0 .4em;line-height:1.9",
    )
    k = r.random()
    options = [f"{c}. {r.choice([b.phrase(1, 3), str(r.randint(0, 9)), fraction()])}" for c in "ABCD"]
    if k < 0.45:
        out += ptext(
            "".join(f'<span style="flex:1">{o}</span>' for o in options), "display:flex;margin:.3em 0 .3em 1.5em"
        )
    elif k < 0.65:
        out += "".join(ptext(o, "margin:.2em 0 .2em 1.5em;width:max-content;max-width:100%") for o in options)
    elif k < 0.75:
        out += f'<div data-l="figure" data-box="el" style="width:{w * 0.35:.0f}px;height:{w * 0.22:.0f}px;margin:.4em 0 .4em auto">{figures.sketch(r, lambda n: b.text(n)[:6], w * 0.35, w * 0.22)}</div>'
    return out


def corner(b: Blocks, w: int, h: int, left: float, right: float) -> str:
    """Little furniture: a lone number in a corner or below, a slanted head without a rule, a foot in two parts."""
    r = b.rng
    n = r.choice(
        [
            str(r.randint(1, 300)),
            f"{r.randint(1, 9)} of {r.randint(9, 30)}",
            f"- {r.randint(1, 99)} -",
            f"{r.randint(1, 9)}-{r.randint(1, 30)}",
        ]
    )
    css = f"font-size:{r.choice([10, 11, 12, 13, 15])}px;{r.choice(['', 'font-style:italic', 'color:#777', 'font-variant:small-caps'])}"
    number, words = f'<span data-l="abandon">{n}</span>', f'<span data-l="abandon">{b.phrase(1, 9)}</span>'
    width, out = w - left - right, []
    top = r.choice(["", "number", "words", "both"])
    line = r.choice(["", "border-bottom:1px solid #000;padding-bottom:2px", "border-bottom:3px double #000"])
    if top:
        inner = {"number": number, "words": words, "both": words + number}[top]
        place = r.choice(["flex-end", "center", "flex-start"]) if top != "both" else "space-between"
        out.append(at(left, r.choice([24, 34, 44]), width, inner, f"{css};display:flex;justify-content:{place};{line}"))
    if top in ("", "words") or r.random() < 0.3:
        both = r.random() < 0.3
        rule = r.choice(["", "", "border-top:1px solid #000"])
        out.append(at(left, h - r.choice([30, 44, 56]), width, f'<span data-l="abandon">{b.phrase(2, 6)}</span>' + number if both else number,
                      f"{css};display:flex;justify-content:{'space-between' if both else r.choice(['center', 'center', 'flex-end'])};{rule}"))  # fmt: skip
    return "".join(out)


def office(b: Blocks, w: int, h: int) -> str:
    """Reports, notebooks and manuals: list tables, strong captions, long headings, boxed listings, plots."""
    r = b.rng
    left, top, right, bottom = margins(b)
    n = r.choice([1, 1, 1, 2])
    cw = colw(w - left - right, n)
    body = []
    for _ in range(14):
        k = r.random()
        body.append(list_table(b) if k < 0.13 else plot(b, cw) if k < 0.25 else long_heading(b) if k < 0.42 else boxed_listing(b) if k < 0.5
                    else listing(b, r.randint(3, 12)) if k < 0.53 else close_list(b, r.randint(2, 6)) if k < 0.63 else b.formula() if k < 0.68 else b.para(8, 70))  # fmt: skip
    return corner(b, w, h, left, right) + columns(b, "".join(body), left, top, w - left - right, h - top - bottom, n)


def treatise(b: Blocks, w: int, h: int) -> str:
    """A book or manuscript with much leading, margin notes beside paragraphs, footnotes hardly smaller than the text."""
    r = b.rng
    left, top, right, bottom = margins(b)
    left += 40
    b.leading = r.choice([1.4, 1.6, 1.8, 2.1])
    b.indent = r.choice([0, 1.5, 2, 2])
    width = w - left - right
    count = r.choice([0, 1, 2, 3, 4])
    size = r.choice([0.78, 0.85, 0.9])
    marks = r.choice(
        [
            [f"（{i}）" for i in range(3, 9)],
            [f"({i})" for i in range(1, 7)],
            list(CIRCLED),
            [f"<sup>{i}</sup>" for i in range(4, 10)],
            [f"*{i}" for i in range(8, 14)],
        ]
    )
    hang, roman = r.choice([0, 2, 2]), ["I", "II", "III"]
    feet = "".join(
        ptext(f"{marks[i]} {b.prose(5, 50)}", f"margin:0 0 .1em;text-indent:{hang}em;text-align:justify", "abandon")
        for i in range(count)
    )
    room = count * 0.06 * h + (14 if count else 0)
    flow = []
    for i in range(12):
        k = r.random()
        if i and k < 0.1:
            flow.append(long_heading(b))
        elif k < 0.2:
            flow.append(b.formula())
        elif k < 0.25:
            flow.append(plot(b, width))
        else:
            note = ""
            if r.random() < 0.2:
                note = f'<span data-l="abandon" style="position:absolute;left:-{r.choice([58, 66, 72])}px;width:56px;text-indent:0;font-size:.8em;text-align:left;line-height:1.2">{r.choice([f"{r.randint(3, 90)}（{r.choice(roman)}）", str(r.randint(5, 400)), f"[{r.randint(2, 99)}]"])}</span>'
            inner = b.para(20, 120)
            flow.append(f'<div style="position:relative">{note}{inner}</div>')
    main = columns(b, "".join(flow), left - 75, top, width + 75, h - top - bottom - room, 1).replace(
        "line-height", "padding-left:75px;line-height", 1
    )
    out = [corner(b, w, h, left, right), main]
    if count:
        rule = r.choice(["width:35%;border-top:1px solid #000", "width:35%;border-top:1px solid #000", ""])
        out.append(
            columns(
                b,
                f'<div style="font-size:{size}em;line-height:{r.choice([1.2, 1.4])}"><div style="{rule};margin-bottom:5px"></div>{feet}</div>',
                left,
                h - bottom - room,
                width,
                room + bottom * 0.45,
                1,
            ).replace("column-rule:1px solid #888;", "")
        )
    return "".join(out)


def quiz(b: Blocks, w: int, h: int) -> str:
    """An examination with fractions and blanks within its questions."""
    r = b.rng
    left, top, right, bottom = margins(b)
    n = r.choice([1, 1, 2])
    cw = colw(w - left - right, n)
    head = ptext(
        b.phrase(3, 9),
        f"font-size:{r.choice([1.4, 1.8])}em;font-weight:700;text-align:center;letter-spacing:{r.choice([0, 0.3, 0.8])}em;margin-bottom:.3em",
        "title",
    )
    body = [f'<div class="sp" style="column-span:all">{head}</div>'] if r.random() < 0.6 else []
    for i in range(1, 16):
        if i % 6 == 1 and r.random() < 0.8:
            words = (
                f"{'一二三四五六七'[i // 6]}、{b.phrase(1, 4)}（每题 {r.randint(2, 9)} 分）"
                if b.cjk
                else f"{'I' * (i // 6 + 1)}. {b.phrase(2, 6)}"
            )
            body.append(ptext(words, "font-weight:700;font-size:1.1em;margin:.8em 0 .4em", "title"))
        body.append(question(b, i, cw))
    return corner(b, w, h, left, right) + columns(b, "".join(body), left, top, w - left - right, h - top - bottom, n)


OFFICE: dict[Family, float] = {office: 5, treatise: 3, quiz: 1.5}
