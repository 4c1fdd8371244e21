"""Whole pages, by family. ``UNSEEN`` families are kept out of training: they test what a new template does.

A family takes :class:`Blocks` and the page's size in CSS px and returns the page's inner HTML. Columns are ``cols``
containers: what doesn't fit is clipped and has no label. Everything else must fit or is hidden by the labeller.
"""

# ruff: noqa: E501 - a line of HTML is a line
from __future__ import annotations

from collections.abc import Callable

from . import figures
from .blocks import Blocks

Family = Callable[[Blocks, int, int], str]
PROSE = {"p": 10.0, "h": 1.5, "list": 0.8, "table": 0.9, "figure": 0.9, "formula": 0.8}


def columns(b: Blocks, inner: str, x: float, y: float, w: float, h: float, n: int, gap: float | None = None) -> str:
    """A column container at a place on the page."""
    gap = b.rng.choice([16, 22, 28, 34]) if gap is None else gap
    rule = b.rng.choice(["", "", "", "column-rule:1px solid #888;"])
    return (f'<div class="cols" data-n="{n}" data-gap="{gap}" style="left:{x:.0f}px;top:{y:.0f}px;width:{w:.0f}px;height:{h:.0f}px;'
            f'column-count:{n};column-gap:{gap}px;{rule}line-height:{b.leading}">{inner}</div>')  # fmt: skip


def at(x: float, y: float, w: float, inner: str, css: str = "") -> str:
    """Free blocks at a place on the page."""
    return f'<div style="position:absolute;left:{x:.0f}px;top:{y:.0f}px;width:{w:.0f}px;{css}">{inner}</div>'


def colw(w: float, n: int, gap: float = 25) -> float:
    return (w - gap * (n - 1)) / n


def furniture(b: Blocks, w: int, h: int, left: float, right: float, top: float = 36, rate: float = 0.85) -> str:
    """Running head and foot, page number: abandon."""
    r = b.rng
    size = r.choice([9, 10, 11, 12])
    number = r.choice(
        [
            str(r.randint(1, 400)),
            str(r.randint(1, 400)),
            f"– {r.randint(1, 99)} –",
            f"Page {r.randint(1, 9)} of {r.randint(9, 30)}",
            f"{r.randint(1, 20)}/{r.randint(20, 60)}",
        ]
    )
    if b.cjk and r.random() < 0.4:
        number = f"第 {r.randint(1, 99)} 页"
    spans = [f'<span data-l="abandon">{b.phrase(2, 7)}</span>', f'<span data-l="abandon">{number}</span>']
    style = f"font-size:{size}px;display:flex;color:{r.choice(['#000', '#000', '#555', '#888', b.style.accent])};"
    out = []
    if r.random() < rate:
        kind = r.random()
        inner = (
            "".join(spans if r.random() < 0.5 else spans[::-1]) if kind < 0.5 else spans[0] if kind < 0.85 else spans[1]
        )
        rule = r.choice(["", "", "border-bottom:1px solid #555;padding-bottom:3px"])
        just = r.choice(["space-between", "space-between", "center", "flex-end"])
        out.append(at(left, top, w - left - right, inner, style + f"justify-content:{just};{rule}"))
    if r.random() < rate:
        kind = r.random()
        inner = (
            spans[1]
            if kind < 0.6
            else f'<span data-l="abandon">{b.phrase(3, 9)}</span>' + spans[1]
            if kind < 0.85
            else spans[0]
        )
        rule = r.choice(["", "", "", "border-top:1px solid #555;padding-top:3px"])
        just = r.choice(["center", "center", "space-between", "flex-end", "flex-start"])
        out.append(at(left, h - r.randint(32, 52), w - left - right, inner, style + f"justify-content:{just};{rule}"))
    return "".join(out)


def margins(b: Blocks) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    r = b.rng
    side = r.choice([40, 50, 60, 72, 85, 100])
    return side, r.choice([62, 72, 85, 100]), side * r.choice([1, 1, 0.8, 1.25]), r.choice([66, 80, 95])


def paper(b: Blocks, w: int, h: int) -> str:
    """A journal or conference paper, first page or later."""
    r = b.rng
    left, top, right, bottom = margins(b)
    n = r.choice([1, 2, 2, 2, 3])
    width = w - left - right
    cw = colw(width, n)
    flow = dict(
        PROSE, formula=r.choice([0.3, 2.0, 3.0]), table=r.choice([0.5, 1.5]), figure=r.choice([0.5, 1.5]), list=0.5
    )
    out, body = [furniture(b, w, h, left, right, top - 32)], []
    first = r.random() < 0.3
    if first:
        body.append(f'<div class="sp" style="column-span:all">{b.heading(1)}{b.authors()}')
        if r.random() < 0.6:
            body.append(
                f'<div style="margin:0 {r.choice([0, 3, 5])}em .8em">{b.heading(3) if r.random() < 0.7 else ""}{b.para(60, 150)}</div>'
            )
        body.append("</div>")
    elif r.random() < 0.3:
        body.append(
            f'<div class="sp" style="column-span:all">{b.figure(width) if r.random() < 0.5 else b.table(w=width)}</div>'
        )
    body.append(b.flow(40, cw, flow if r.random() < 0.9 else {"refs": 1.0}))
    foot = r.random() < 0.3
    fh = 60 if foot else 0
    out.append(columns(b, "".join(body), left, top, width, h - top - bottom - fh, n))
    if foot:
        out.append(at(left, h - bottom - fh + 6, cw, b.footnotes(), f"height:{fh + 6}px;overflow:hidden"))
    if r.random() < 0.05:
        out.append(
            f'<div data-l="abandon" style="position:absolute;left:14px;top:{h * 0.3:.0f}px;writing-mode:vertical-rl;transform:rotate(180deg);color:#888;font-size:20px">arXiv:{r.randint(1000, 2400)}.{r.randint(10000, 99999)}v1 [cs.CV] {r.randint(1, 28)} Mar 2021</div>'
        )
    return "".join(out)


def manuscript(b: Blocks, w: int, h: int) -> str:
    """One wide column, large leading, perhaps with line numbers."""
    r = b.rng
    b.leading = r.choice([1.5, 1.8, 2.1])
    left, top, right, bottom = margins(b)
    left += 20
    body = b.flow(14, w - left - right, {"p": 8, "h": 1, "formula": 1.5, "table": 0.5, "figure": 0.5, "refs": 0.4})
    out = [furniture(b, w, h, left, right), columns(b, body, left, top, w - left - right, h - top - bottom, 1)]
    return "".join(out)


def report(b: Blocks, w: int, h: int) -> str:
    """A business or public report."""
    r = b.rng
    left, top, right, bottom = margins(b)
    n = r.choice([1, 1, 1, 2])
    width = w - left - right
    weights = {"p": 6, "h": 2, "h3": 1, "list": 1.6, "table": 1.5, "figure": 1.3, "box": 0.8, "quote": 0.3}
    out = [furniture(b, w, h, left, right, top - 36)]
    if r.random() < 0.25:
        out.append(at(0, 0, w, "", f"height:{r.randint(12, 28)}px;background:{b.style.accent}"))
    side = r.random() < 0.2
    if side:
        sw = width * r.uniform(0.24, 0.32)
        inner = b.heading(3) + b.para(15, 40) + (b.list(3, (3, 9)) if r.random() < 0.6 else b.para(10, 30))
        out.append(
            at(
                w - right - sw,
                top + r.randint(0, 200),
                sw,
                f'<div style="font-size:.88em;line-height:{b.leading}">{b.box(inner)}</div>',
            )
        )
        width -= sw + 20
        n = 1
    start = (b.heading(1) if r.random() < 0.35 else "") + (b.heading(2) if r.random() < 0.5 else "")
    return "".join(out) + columns(b, start + b.flow(30, colw(width, n), weights), left, top, width, h - top - bottom, n)


def book(b: Blocks, w: int, h: int) -> str:
    """A novel or non-fiction book."""
    r = b.rng
    left, top, right, bottom = margins(b)
    left, right = left + 20, right + 20
    b.gap, b.indent = 0, max(b.indent, 1.5)
    width = w - left - right
    start, drop = "", 0
    if r.random() < 0.3:
        drop = r.randint(40, 180)
        start = b.heading(1) + (b.heading(3) if r.random() < 0.3 else "") + (b.quote() if r.random() < 0.3 else "")
    weights = {"p": 8, "short": r.choice([0.2, 5.0]), "h": 0.3, "quote": 0.3, "figure": 0.15}
    foot = r.random() < 0.3
    fh = 70 if foot else 0
    out = furniture(b, w, h, left, right) + columns(
        b, start + b.flow(40, width, weights), left, top + drop, width, h - top - drop - bottom - fh, 1
    )
    if foot:
        out += at(left, h - bottom - fh + 6, width, b.footnotes(), f"height:{fh + 6}px;overflow:hidden")
    return out


def contents(b: Blocks, w: int, h: int) -> str:
    """A table of contents or an index: each line plain text, the heading a title."""
    r = b.rng
    left, top, right, bottom = margins(b)
    width = w - left - right
    if r.random() < 0.6:
        lines = "".join(
            f'<div data-l="plain text" style="margin:0 0 {0.45}em {r.choice([0, 0, 1.5, 3])}em;display:flex"><span>{r.randint(1, 9)}.{r.randint(1, 9)} {b.phrase(2, 7)}</span>'
            f'<span style="flex:1;overflow:hidden;white-space:nowrap;height:1.1em">{" ." * 200}</span><span>{r.randint(1, 300)}</span></div>'
            for _ in range(r.randint(10, 30))
        )
        return furniture(b, w, h, left, right) + columns(b, b.heading(1) + lines, left, top, width, h - top - bottom, 1)
    n = r.choice([2, 3])
    lines = "".join(
        f'<div data-l="plain text" style="padding-left:1em;text-indent:-1em;margin:0 0 .25em">{b.phrase(1, 4)}, {r.randint(1, 300)}, {r.randint(1, 300)}</div>'
        for _ in range(130)
    )
    return furniture(b, w, h, left, right) + columns(
        b,
        f'<div class="sp" style="column-span:all">{b.heading(1)}</div>' + lines,
        left,
        top,
        width,
        h - top - bottom,
        n,
    )


def newspaper(b: Blocks, w: int, h: int) -> str:
    """Masthead, spanning headlines, several stories in narrow columns."""
    r = b.rng
    left, right = r.choice([28, 40, 56]), r.choice([28, 40, 56])
    y, width = r.choice([30.0, 50.0, 64.0]), w - left - right
    out = []
    b.caption_rate = r.choice([0.4, 0.9])
    if r.random() < 0.4:
        out.append(
            at(
                left,
                y,
                width,
                f'<div data-l="title" style="text-align:center;font-size:{r.randint(34, 60)}px;line-height:1.1;font-family:\'{b.style.heading_font}\'">{b.phrase(2, 3)}</div>',
                "white-space:nowrap;overflow:hidden",
            )
        )
        y += 70
        line = f'<span data-l="abandon">{b.phrase(2, 4)}</span><span data-l="abandon">{r.randint(1, 28)}. {r.randint(1, 12)}. 2024</span><span data-l="abandon">Nr. {r.randint(1, 99)}</span>'
        out.append(
            at(
                left,
                y,
                width,
                line,
                "font-size:11px;display:flex;justify-content:space-between;border-top:1px solid #000;border-bottom:1px solid #000",
            )
        )
        y += 28
    else:
        out.append(furniture(b, w, h, left, right, 16))
    side = r.random() < 0.4
    sw = width * r.uniform(0.22, 0.3) if side else 0
    if side:
        inner = b.heading(3) + "".join(b.para(8, 30, "margin-bottom:.5em;") for _ in range(r.randint(2, 6)))
        css = r.choice(
            [
                "background:#eee",
                "border:1px solid #777",
                f"background:{figures.colour(r, (88, 95))}",
                "border-left:1px solid #777",
            ]
        )
        out.append(at(w - right - sw, y, sw, inner, f"font-size:.92em;line-height:{b.leading};padding:10px;{css}"))
    main = width - sw - (18 if side else 0)
    while y < h - 200:
        n = r.choice([1, 2, 2, 3, 3, 4]) if main > 420 else r.choice([1, 2])
        height = min(r.randint(190, 520), h - 60 - y)
        if h - 60 - y - height < 160:
            height = h - 60 - y
        start = f'<div class="sp" style="column-span:all">{b.heading(1 if r.random() < 0.6 else 2)}{b.para(12, 35, "font-weight:bold;text-indent:0;") if r.random() < 0.35 else ""}</div>'
        cw = colw(main, n, 18)
        pic = b.figure(cw) if r.random() < 0.6 else ""
        body = [b.para(20, 70) for _ in range(14)]
        body.insert(r.randint(0, 2), pic)
        if r.random() < 0.3:
            body.insert(3, b.heading(3))
        b.numbered = ""
        out.append(columns(b, start + "".join(body), left, y, main, height, n, 18))
        y += height + 14
        if side and r.random() < 0.3 and y > h * 0.5:
            main = width
            side = False
            y += 4
    return "".join(out)


def slides(b: Blocks, w: int, h: int) -> str:
    """Landscape slides, light or dark."""
    r = b.rng
    b.align, b.indent, b.numbered = "left", 0, ""
    dark = r.random() < 0.35
    back = (
        figures.colour(r, (8, 28))
        if dark
        else r.choice(["#fff", "#fff", "#fff", "#fafafa", figures.colour(r, (92, 97))])
    )
    ink = "#f4f4f4" if dark else r.choice(["#000", "#222", "#333"])
    fs = h / r.choice([24, 27, 30, 34])
    pad = w * r.uniform(0.045, 0.09)
    out = [f'<div style="position:absolute;inset:0;background:{back}"></div>']
    if r.random() < 0.2:
        out.append(at(0, 0, w, "", f"height:{h * 0.14:.0f}px;background:{b.style.accent}"))
    if r.random() < 0.15:
        out.append(at(0, 0, w * 0.02, "", f"height:{h}px;background:{b.style.accent}"))
    kind = r.choice(
        [
            "title",
            "bullets",
            "bullets",
            "bullets",
            "two",
            "two",
            "figure",
            "figure",
            "table",
            "text",
            "three",
            "formula",
        ]
    )
    align = r.choice(["left", "left", "left", "center"])
    if kind == "title":
        y = h * r.uniform(0.22, 0.42)
        out.append(
            at(
                pad,
                y,
                w - 2 * pad,
                f'<div data-l="title" style="font-size:{fs * r.uniform(1.6, 2.6):.0f}px;line-height:1.15;text-align:{align};font-weight:{r.choice([400, 700])}">{b.phrase(2, 8)}</div>'
                f'<div data-l="plain text" style="font-size:{fs * 1.05:.0f}px;margin-top:{h * 0.03:.0f}px;text-align:{align}">{b.phrase(4, 12)}</div>'
                f'<div data-l="plain text" style="font-size:{fs * 0.8:.0f}px;margin-top:{h * r.uniform(0.05, 0.2):.0f}px;text-align:{align}">{b.phrase(3, 8)} · {r.randint(1, 28)}.{r.randint(1, 12)}.2025</div>',
            )
        )
        if r.random() < 0.4:
            out.append(
                at(
                    w - pad - 90,
                    h * 0.06,
                    80,
                    f'<div data-l="figure" data-box="el" style="width:80px;height:80px">{figures.logo(r, b.text, 80, 80)}</div>',
                )
            )
    else:
        top = h * r.uniform(0.04, 0.09)
        out.append(
            at(
                pad,
                top,
                w - 2 * pad,
                f'<div data-l="title" style="font-size:{fs * r.uniform(1.3, 1.9):.0f}px;line-height:1.1;text-align:{align};font-weight:{r.choice([400, 700])}">{b.phrase(2, 7)}</div>',
            )
        )
        y, bottom = h * 0.2, h * 0.9
        width, height = w - 2 * pad, bottom - y

        def cell(x: float, cw: float, what: str) -> str:
            sub = (
                f'<div data-l="title" style="font-size:{fs * 1.1:.0f}px;margin-bottom:.4em;font-weight:700">{b.phrase(1, 3)}</div>'
                if r.random() < 0.4 and kind in ("two", "three")
                else ""
            )
            if what == "figure":
                ph = height * r.uniform(0.55, 0.85)
                cap = (
                    f'<div data-l="figure_caption" style="font-size:{fs * 0.7:.0f}px;margin-top:6px;text-align:center">{b.phrase(3, 10)}</div>'
                    if r.random() < 0.4
                    else ""
                )
                panel = "background:#fff;" if dark else ""
                return at(
                    x,
                    y,
                    cw,
                    f'<div style="color:#111;{panel}">{b.picture("100%", ph, w=cw)}</div>{cap}',
                    f"height:{height:.0f}px",
                )
            if what == "table":
                return at(
                    x,
                    y,
                    cw,
                    f'<div style="font-size:{fs * 0.85:.0f}px">{b.table(r.randint(2, 6), r.randint(3, 6), caption=r.random() < 0.2, w=cw)}</div>',
                )
            if what == "text":
                return at(
                    x,
                    y,
                    cw,
                    sub
                    + "".join(
                        f'<p data-l="plain text" style="margin:0 0 .7em">{b.prose(10, 30)}</p>'
                        for _ in range(r.randint(1, 3))
                    ),
                    f"font-size:{fs * 0.9:.0f}px;line-height:1.3",
                )
            if what == "formula":
                return at(
                    x,
                    y,
                    cw,
                    b.formula() + f'<p data-l="plain text">{b.prose(5, 20)}</p>' + b.formula(),
                    f"font-size:{fs:.0f}px",
                )
            gap = r.choice([0.3, 0.6, 1.0])
            mark = r.choice(["•", "•", "–", "▸", "1."])
            items = "".join(
                f'<div data-l="plain text" style="padding-left:1.1em;text-indent:-1.1em;margin:0 0 {gap}em {r.choice([0, 0, 0, 1.2])}em">{mark.replace("1", str(i + 1))} {b.phrase(3, 14)}</div>'
                for i in range(r.randint(2, 6))
            )
            return at(
                x,
                y,
                cw,
                sub + items,
                f"font-size:{fs * r.choice([0.8, 0.9, 1]):.0f}px;line-height:1.25;text-align:left",
            )

        parts = {"two": 2, "three": 3}.get(kind, 1)
        for i in range(parts):
            cw = colw(width, parts, 30)
            what = r.choice(["bullets", "figure", "text", "bullets"]) if parts > 1 else kind
            if what == "figure" and parts == 1:
                cw *= r.uniform(0.5, 1)
            out.append(cell(pad + i * (cw + 30), cw, what))
        if r.random() < 0.2:
            out.append(
                at(
                    pad,
                    h * 0.9,
                    w * 0.6,
                    f'<div data-l="plain text" style="font-size:{fs * 0.55:.0f}px">{b.phrase(5, 12)}</div>',
                )
            )
    if r.random() < 0.7:
        spans = f'<span data-l="abandon">{b.phrase(2, 5)}</span>' if r.random() < 0.6 else "<span></span>"
        out.append(
            at(
                pad,
                h * 0.95,
                w - 2 * pad,
                f'{spans}<span data-l="abandon">{r.randint(1, 60)}</span>',
                f"font-size:{max(9, fs * 0.5):.0f}px;display:flex;justify-content:space-between",
            )
        )
    return f'<div style="position:absolute;inset:0;color:{ink}">{"".join(out)}</div>'


def invoice(b: Blocks, w: int, h: int) -> str:
    """Letterhead, addresses, keys and values, items, totals, terms."""
    r = b.rng
    b.indent, b.align = 0, "left"
    left = right = r.choice([45, 60, 75])
    width, y = w - left - right, r.uniform(35, 70)
    out = []
    if r.random() < 0.7:
        s = r.randint(36, 80)
        out.append(
            at(
                left if r.random() < 0.6 else w - right - s,
                y,
                s,
                f'<div data-l="figure" data-box="el" style="width:{s}px;height:{s}px">{figures.logo(r, b.text, s, s)}</div>',
            )
        )
    if r.random() < 0.7:
        out.append(
            at(
                left + 95,
                y + 8,
                width * 0.5,
                f'<div data-l="title" style="font-size:{r.randint(15, 24)}px;font-weight:bold">{b.phrase(1, 4)}</div>',
            )
        )
    y += 88
    if r.random() < 0.5:
        out.append(
            at(
                left,
                y,
                width,
                f'<div data-l="plain text" style="font-size:.85em">{b.phrase(3, 6)} · {b.phrase(2, 4)} · {r.randint(10000, 99999)}</div>',
            )
        )
        y += 34
    heading = f'<div data-l="title" style="font-size:{r.randint(18, 32)}px;font-weight:{r.choice([400, 700])};color:{r.choice(["#000", b.style.accent])}">{b.phrase(1, 2)}</div>'
    below = r.random() < 0.4
    if not below:
        out.append(at(left, y, width, heading))
        y += 52
    cols = r.choice([2, 2, 3])
    for _ in range(r.choice([1, 1, 2])):
        for i in range(cols):
            out.append(
                at(
                    left + i * width / cols,
                    y,
                    width / cols - 20,
                    b.address() if i == 0 or r.random() < 0.4 else b.pairs(r.randint(2, 5)),
                )
            )
        y += 125
    if below:
        out.append(at(left, y, width, heading))
        y += 52
    if r.random() < 0.4:
        out.append(at(left, y, width, b.para(10, 35)))
        y += 62
    rows = r.randint(2, 10)
    cells = ["<tr>" + "".join(f"<th>{b.phrase(1, 2)}</th>" for _ in range(5)) + "</tr>"]
    cells += [
        f"<tr><td>{i + 1}</td><td class=l>{b.phrase(2, 8)}</td><td>{r.randint(1, 40)}</td><td>{r.uniform(1, 90):.2f}</td><td>€ {r.uniform(1, 900):.2f}</td></tr>"
        for i in range(rows)
    ]
    totals = r.random() < 0.7
    if totals:
        cells += [
            f"<tr><td colspan=4 style='text-align:right'>{b.phrase(1, 3)}</td><td>{r.uniform(100, 3000):,.2f}</td></tr>"
            for _ in range(r.randint(1, 4))
        ]
    st = r.choice(["full", "rows", "three", "none", "zebra", "head", "dark"])
    out.append(at(left, y, width, f'<table class="{st}" data-l="table" data-box="el" style="--p:{r.choice([2, 4, 6])}px;--a:{b.style.accent};width:100%;font-size:.9em;text-align:right">{"".join(cells)}</table>'
                  + (f'<div style="margin:14px 0 0 {width * 0.6:.0f}px">{b.pairs(3)}</div>' if not totals else "")
                  + f'<div style="margin-top:{r.randint(14, 50)}px">{"".join(b.para(8, 40, "margin-bottom:.8em;") for _ in range(r.randint(1, 3)))}</div>'
                  + (b.pairs(3) if r.random() < 0.4 else "")))  # fmt: skip
    n = r.choice([1, 1, 3])
    foot = "".join(
        f'<div data-l="abandon" style="flex:1">{b.phrase(3, 9) if n == 1 else "<br>".join(b.phrase(2, 3) for _ in range(3))}</div>'
        for _ in range(n)
    )
    out.append(
        at(
            left,
            h - 72,
            width,
            foot,
            f"font-size:10px;display:flex;gap:20px;text-align:{'center' if n == 1 else 'left'};border-top:{r.choice([0, 1])}px solid #888;padding-top:5px",
        )
    )
    return "".join(out)


def form(b: Blocks, w: int, h: int) -> str:
    """A form: sections with ruled fields (tables), labelled lines and notes."""
    r = b.rng
    b.indent, b.align = 0, "left"
    left, top, right, _ = margins(b)
    width = w - left - right
    parts = [b.heading(1)] + ([b.para(10, 40)] if r.random() < 0.6 else [])
    for _ in range(r.randint(2, 4)):
        parts.append(b.heading(2))
        k = r.random()
        if k < 0.55:
            cols = r.choice([2, 4, 4])
            rows = "".join(
                "<tr>"
                + "".join(
                    f"<td class=l style='height:26px'>{b.phrase(1, 3) if j % 2 == 0 else r.choice(['', '', b.phrase(1, 2)])}</td>"
                    for j in range(cols)
                )
                + "</tr>"
                for _ in range(r.randint(2, 7))
            )
            parts.append(
                f'<table class="full" data-l="table" data-box="el" style="--p:4px;width:100%;font-size:.9em">{rows}</table>'
            )
        elif k < 0.8:
            parts += [
                f'<div data-l="plain text" style="margin:.5em 0">{b.phrase(1, 4)}: '
                + "_" * r.randint(15, 40)
                + "</div>"
                for _ in range(r.randint(2, 6))
            ]
        else:
            parts += [
                f'<div data-l="plain text" style="margin:.4em 0">☐ {b.phrase(2, 12)}</div>'
                for _ in range(r.randint(2, 6))
            ]
        if r.random() < 0.3:
            parts.append(b.para(10, 40, "font-size:.85em;margin-top:.5em;"))
    return furniture(b, w, h, left, right, 30) + columns(b, "".join(parts), left, top, width, h - top - 80, 1)


def exam(b: Blocks, w: int, h: int) -> str:
    """Numbered questions with options, formulas, sketches."""
    r = b.rng
    b.indent, b.align = 0, "left"
    left, top, right, bottom = margins(b)
    n = r.choice([1, 1, 2])
    width = w - left - right
    cw = colw(width, n)
    parts = []
    if r.random() < 0.5:
        parts.append(
            f'<div class="sp" style="column-span:all">{b.heading(1)}<div data-l="plain text" style="text-align:center;margin-bottom:.8em">{b.phrase(1, 2)}: ________ &nbsp; {b.phrase(1, 2)}: ________</div></div>'
        )
    for i in range(1, 16):
        if r.random() < 0.15:
            parts.append(
                f'<div data-l="title" style="font-weight:bold;margin:.7em 0">{"一二三四五六七"[i % 7] + "、" if b.cjk else f"Part {i}. "}{b.phrase(2, 8)}</div>'
            )
        parts.append(
            f'<div data-l="plain text" style="margin:.6em 0 .3em;line-height:{b.leading}">{i}{r.choice([". ", ") ", "．"])}{b.prose(8, 45)}</div>'
        )
        k = r.random()
        if k < 0.4:
            per = r.choice([1, 2, 4])
            options = [f"{c}{'．' if b.cjk else ') '}{b.phrase(1, 4)}" for c in "ABCD"]
            if per == 1:
                parts += [f'<div data-l="plain text" style="margin:.15em 0 .25em 1.5em">{o}</div>' for o in options]
            else:
                for j in range(0, 4, per):
                    parts.append(
                        '<div data-l="plain text" style="display:flex;margin:.1em 0 .25em 1.5em">'
                        + "".join(f'<span style="flex:1">{o}</span>' for o in options[j : j + per])
                        + "</div>"
                    )
        elif k < 0.55:
            parts.append(b.formula())
        elif k < 0.68:
            parts.append(
                f'<div style="width:{r.uniform(0.3, 0.6) * cw:.0f}px;margin:6px auto">{b.picture("100%", r.randint(80, 150), w=cw * 0.5)}</div>'
            )
        elif k < 0.75:
            parts.append(b.table(r.randint(2, 4), r.randint(3, 5), caption=False, w=cw))
        elif k < 0.85:
            parts.append(f'<div style="height:{r.randint(30, 90)}px"></div>')
    return furniture(b, w, h, left, right) + columns(b, "".join(parts), left, top, width, h - top - bottom, n)


def manual(b: Blocks, w: int, h: int) -> str:
    """Software documentation: code, options, notes."""
    r = b.rng
    b.align = "left"
    left, top, right, bottom = margins(b)
    weights = {"p": 5, "short": 2, "h": 1.5, "h3": 1.2, "code": 2.5, "list": 2, "table": 0.8, "figure": 0.5, "box": 0.6}
    width = w - left - right
    n = r.choice([1, 1, 1, 2])
    return furniture(b, w, h, left, right) + columns(
        b, b.flow(32, colw(width, n), weights), left, top, width, h - top - bottom, n
    )


def letter(b: Blocks, w: int, h: int) -> str:
    """A letter: much white, few blocks."""
    r = b.rng
    left = right = r.choice([70, 85, 100])
    width, y = w - left - right, 60.0
    out = []
    if r.random() < 0.6:
        out.append(
            at(
                left,
                y,
                70,
                f'<div data-l="figure" data-box="el" style="width:70px;height:70px">{figures.logo(r, b.text, 70, 70)}</div>',
            )
        )
    if r.random() < 0.5:
        out.append(at(w - right - 200, y, 200, b.address(), "text-align:right"))
    y += 130
    out.append(at(left, y, 260, b.address()))
    y += 120
    out.append(
        at(
            left,
            y,
            width,
            f'<div data-l="plain text" style="text-align:right">{b.phrase(1, 1)}, {r.randint(1, 28)}. {r.randint(1, 12)}. 2024</div>',
        )
    )
    y += 40
    if r.random() < 0.7:
        out.append(at(left, y, width, f'<div data-l="title" style="font-weight:bold">{b.phrase(3, 8)}</div>'))
        y += 40
    body = b.para(2, 4, "text-indent:0;margin-bottom:1em;") + "".join(
        b.para(25, 90, "margin-bottom:1em;") for _ in range(r.randint(2, 4))
    )
    body += (
        b.para(2, 4, "text-indent:0;margin-bottom:2.5em;")
        + f'<div data-l="plain text">{b.phrase(2, 2)}<br>{b.phrase(1, 3)}</div>'
    )
    out.append(at(left, y, width, body, f"line-height:{b.leading}"))
    if r.random() < 0.7:
        out.append(
            at(
                left,
                h - 60,
                width,
                f'<div data-l="abandon">{b.phrase(5, 12)}</div>',
                "font-size:10px;text-align:center",
            )
        )
    return "".join(out)


def statement(b: Blocks, w: int, h: int) -> str:
    """A page that is mostly one or two large tables."""
    r = b.rng
    left, top, right, _ = margins(b)
    width = w - left - right
    parts = [b.heading(1)] if r.random() < 0.6 else []
    if r.random() < 0.5:
        parts.append(b.para(10, 40))
    for i in range(r.choice([1, 1, 2])):
        if i or r.random() < 0.3:
            parts.append(b.heading(2))
        parts.append(
            b.table(r.randint(10, 26), r.randint(4, 9), 1, r.random() < 0.6, width).replace("width:auto", "width:100%")
        )
    parts.append(b.para(10, 40))
    return furniture(b, w, h, left, right) + columns(b, "".join(parts), left, top, width, h - top - 80, 1)


def gallery(b: Blocks, w: int, h: int) -> str:
    """A page that is mostly figures with captions."""
    r = b.rng
    left, top, right, _ = margins(b)
    width = w - left - right
    n = r.choice([1, 2, 2])
    b.caption_rate = 0.95
    body = b.flow(14, colw(width, n), {"figure": 5, "p": 2, "h": 0.5, "table": 1})
    return furniture(b, w, h, left, right) + columns(b, body, left, top, width, h - top - 80, n)


def cover(b: Blocks, w: int, h: int) -> str:
    """A title page."""
    r = b.rng
    back = r.choice(["#fff", "#fff", figures.colour(r, (15, 40)), figures.colour(r, (85, 95))])
    dark = back.startswith("hsl") and back.endswith(("1%)", "2%)", "3%)", "4%)")) and int(back.split(",")[-1][:-2]) < 50
    align, pad = r.choice(["left", "center"]), w * r.uniform(0.08, 0.15)
    out = [f'<div style="position:absolute;inset:0;background:{back}"></div>']
    y = h * r.uniform(0.12, 0.4)
    inner = f'<div data-l="title" style="font-size:{r.randint(28, 56)}px;line-height:1.15;font-weight:{r.choice([400, 700])}">{b.phrase(2, 8)}</div>'
    if r.random() < 0.7:
        inner += (
            f'<div data-l="plain text" style="font-size:{r.randint(14, 24)}px;margin-top:.8em">{b.phrase(4, 12)}</div>'
        )
    inner += f'<div data-l="plain text" style="font-size:{r.randint(12, 18)}px;margin-top:3em">{b.phrase(2, 5)}</div>'
    out.append(at(pad, y, w - 2 * pad, inner, f"text-align:{align}"))
    if r.random() < 0.5:
        out.append(at(pad, y + 300, w - 2 * pad, b.picture("100%", r.randint(120, 280), w=w)))
    out.append(
        at(pad, h * 0.92, w - 2 * pad, f'<div data-l="plain text">{b.phrase(1, 4)}</div>', f"text-align:{align}")
    )
    return f'<div style="position:absolute;inset:0;color:{"#fff" if dark else "#111"}">{"".join(out)}</div>'


# Unseen: never in the training set ------------------------------------------------------------------------------------


def textbook(b: Blocks, w: int, h: int) -> str:
    """Main text with a margin column of notes and small figures, boxed examples, exercises."""
    r = b.rng
    left, top, bottom = 60, 80, 80
    main = w * r.uniform(0.58, 0.64)
    mx = left + main + 24
    mw = w - mx - 36
    if r.random() < 0.3:  # margin on the left
        mx, left = 36, int(36 + mw + 24)
    body = [b.flow(3, main, {"p": 4, "formula": 2}), b.box(b.heading(3) + b.para(20, 60) + b.formula())]
    body += [
        b.flow(8, main, {"p": 5, "h": 1, "formula": 2, "figure": 1, "table": 0.8}),
        b.heading(2),
        b.list(5, (8, 25)),
    ]
    notes = "".join(
        f'<div data-l="abandon" style="font-size:.75em;line-height:1.2;margin-bottom:{r.randint(60, 190)}px">{b.prose(8, 22)}</div>'
        for _ in range(r.randint(1, 4))
    )
    return (
        furniture(b, w, h, left, 40)
        + columns(b, "".join(body), left, top, main, h - top - bottom, 1)
        + at(mx, top + r.randint(10, 80), mw, notes)
    )


def datasheet(b: Blocks, w: int, h: int) -> str:
    """A product's data sheet: coloured head, picture and key facts, two columns of features and tables."""
    r = b.rng
    b.numbered, b.indent = "", 0
    band = r.randint(60, 110)
    out = [
        f'<div style="position:absolute;left:0;top:0;width:{w}px;height:{band}px;background:{figures.colour(r, (20, 40))}"></div>'
    ]
    out.append(
        at(
            50,
            band * 0.25,
            w - 220,
            f'<div data-l="title" style="color:#fff;font-size:{r.randint(22, 34)}px;line-height:1.1">{b.phrase(2, 5)}</div>',
            "white-space:nowrap;overflow:hidden",
        )
    )
    out.append(
        at(
            w - 110,
            band * 0.2,
            60,
            f'<div data-l="figure" data-box="el" style="width:{band * 0.6:.0f}px;height:{band * 0.6:.0f}px">{figures.logo(r, b.text, 60, 60)}</div>',
        )
    )
    y = band + 30
    out.append(at(50, y, w * 0.5, b.para(25, 60, "text-indent:0;") + b.list(4, (3, 10))))
    out.append(at(w * 0.62, y, w * 0.38 - 50, b.picture("100%", 190, w=w * 0.33)))
    y += 300
    width = w - 100
    body = "".join(
        b.heading(2)
        + (b.table(r.randint(4, 9), r.randint(2, 3), w=width / 2) if r.random() < 0.6 else b.list(4, (4, 14)))
        for _ in range(6)
    )
    out.append(columns(b, body, 50, y, width, h - y - 90, 2))
    out.append(at(50, h - 60, width, f'<div data-l="abandon">{b.prose(12, 24)}</div>', "font-size:9px;color:#666"))
    return "".join(out)


def magazine(b: Blocks, w: int, h: int) -> str:
    """A large picture with a headline, intro, columns with a pull quote."""
    r = b.rng
    b.numbered, b.align = "", "justify"
    ph = r.randint(260, 430)
    out = [at(0, 0, w, b.picture("100%", ph, w=w))]
    y = ph + 26
    out.append(
        at(
            55,
            y,
            w - 110,
            f'<div data-l="title" style="font-size:{r.randint(30, 46)}px;line-height:1.1;font-family:\'{b.style.heading_font}\'">{b.phrase(2, 5)}</div>',
            "white-space:nowrap;overflow:hidden",
        )
    )
    y += 64
    out.append(
        at(55, y, w - 110, f'<div data-l="plain text" style="font-size:1.25em;line-height:1.3">{b.prose(15, 30)}</div>')
    )
    y += 76
    n = r.choice([2, 3])
    pull = f'<div data-l="plain text" style="font-size:1.5em;line-height:1.25;color:{b.style.accent};margin:.7em 0;text-align:center;break-inside:avoid">“{b.prose(6, 12)}”</div>'
    body = [b.para(30, 90) for _ in range(12)]
    body.insert(2, pull)
    body.insert(4, b.heading(3))
    out.append(columns(b, "".join(body), 55, y, w - 110, h - y - 70, n))
    out.append(
        at(
            55,
            h - 45,
            w - 110,
            f'<span data-l="abandon">{r.randint(2, 99)}</span><span data-l="abandon">{b.phrase(2, 4)}</span>',
            "font-size:10px;display:flex;justify-content:space-between",
        )
    )
    return "".join(out)


SEEN: dict[Family, float] = {
    paper: 20, report: 12, newspaper: 11, slides: 14, invoice: 8, form: 5, exam: 6, manual: 5, book: 6, letter: 3,
    statement: 4, gallery: 5, manuscript: 3, contents: 2, cover: 2,
}  # fmt: skip
RICH: dict[Family, float] = {
    paper: 14,
    gallery: 20,
    statement: 16,
    report: 12,
    newspaper: 8,
    slides: 10,
    exam: 3,
    book: 3,
}
"""More captions, notes and formula numbers: the classes a page has few of."""
UNSEEN: dict[Family, float] = {textbook: 1, datasheet: 1, magazine: 1}
