"""More families of pages to train on: what the first weights did badly.

Lists that stand close, tables of text without rules, notes under tables, captions in narrow columns, listings, footnotes
and margin notes, figures of many panels, wide boxes, and crowded pages: journals, broadsheets, brokers' reports,
lecture slides, Chinese examinations and school books, regulations, brochures.
"""

# ruff: noqa: E501 - a line of HTML is a line
from __future__ import annotations

import html

from . import figures
from .blocks import NOTE, Blocks
from .templates import Family, at, columns, colw, furniture, margins

CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"


def small(b: Blocks, inner: str, w: int, low: float, high: float) -> str:
    """The whole page in a size of type that fits its width: ``low`` to ``high`` px at 794 px."""
    return f'<div style="font-size:{b.rng.uniform(low, high) * w / 794:.1f}px">{inner}</div>'


def span(inner: str, css: str = "") -> str:
    """Blocks across all columns of a container."""
    return f'<div class="sp" style="column-span:all;{css}">{inner}</div>'


def ptext(inner: str, css: str = "", label: str = "plain text") -> str:
    return f'<div data-l="{label}" style="{css}">{inner}</div>'


def close_list(b: Blocks, items: int, words: tuple[int, int] = (3, 40)) -> str:
    """A list without room between its items, perhaps in two levels, bullets hanging or not."""
    r = b.rng
    marks = r.choice(["•", "–", "■", "●", "1.", "1)", "(1)", "（1）", "(a)", "a.", "1、", "◆", "*", "→", "§ 1", "1.1"])
    inner_mark = r.choice(["–", "o", "◦", "(i)", "·"])
    hang, left = r.choice([0, 1.2, 1.6, 2.2]), r.choice([0, 0, 1, 2])
    gap, leading = r.choice([0, 0, 0, 0.08, 0.15]), r.choice([1.1, 1.2, 1.3, 1.45])
    out = []
    for i in range(items):
        nested = i and r.random() < 0.25
        m = inner_mark if nested else marks.replace("1", str(i + 1)).replace("a", "abcdefghijklmnopqrstuvwxyz"[i % 26])
        long = r.random() < 0.3
        text = b.prose(words[0], words[1]) if long else b.phrase(words[0], max(words[0] + 1, words[1] // 3))
        align = r.choice(["justify", "left"])
        out.append(ptext(f"{m} {text}", f"margin:0 0 {gap}em {left + (1.8 if nested else 0)}em;padding-left:{hang}em;text-indent:-{hang}em;line-height:{leading};text-align:{align}"))  # fmt: skip
    return f'<div style="margin:.2em 0 .5em">{"".join(out)}</div>'


def text_table(
    b: Blocks, w: float, rows: int | None = None, style: str | None = None, caption: bool | None = None
) -> str:
    """A table whose cells hold words and sentences, often without a rule; caption and notes as the page has them."""
    r = b.rng
    cols = r.choice([2, 2, 3, 3, 4, 5]) if w > 300 else r.choice([2, 2, 3])
    rows = rows or r.randint(3, 10)
    st = style or r.choice(["none", "none", "three", "three", "rows", "full", "zebra", "dark"])
    widths = [r.uniform(0.5, 1.0)] + [r.uniform(0.5, 2.5) for _ in range(cols - 1)]
    long = [r.random() < 0.6 for _ in range(cols)]
    limit = max(2, int(w / cols / 14))
    head = "".join(f"<th style='width:{100 * v / sum(widths):.0f}%'>{b.phrase(1, 3)}</th>" for v in widths)
    out = [f"<tr>{head}</tr>"] if r.random() < 0.85 else []
    for _ in range(rows):
        cells = []
        for j in range(cols):
            k = r.random()
            text = (b.phrase(1, 3) if j == 0 else b.prose(3, min(40, 3 * limit)) if long[j] and k < 0.8 else "" if k > 0.96
                    else b.number() if k > 0.7 else b.phrase(1, max(2, limit // 2)))  # fmt: skip
            cells.append(
                f"<td class=l style='vertical-align:{'top' if j % 2 else 'middle' if st == 'full' else 'top'}'>{text}</td>"
            )
        out.append(f"<tr>{''.join(cells)}</tr>")
    size = r.choice([0.72, 0.8, 0.85, 0.9, 1])
    table = (f'<table class="{st}" data-l="table" data-box="el" style="--p:{r.choice([1, 2, 3, 5])}px;--a:{b.style.accent};font-size:{size}em;'
             f'width:100%;text-align:left">{"".join(out)}</table>')  # fmt: skip
    has = r.random() < b.caption_rate if caption is None else caption
    cap = b.caption("table_caption") if has else ""
    foot = notes(b, size) if r.random() < max(0.5, b.note_rate) else ""
    parts = [cap, table, foot] if b.table_caption_above else [table, foot, cap]
    return f'<div style="break-inside:avoid;margin:.8em 0" class="float">{"".join(parts)}</div>'


def notes(b: Blocks, size: float = 0.85) -> str:
    """Notes under a table: one region, up to four lines of notes."""
    r = b.rng
    marks = r.choice([["* ", "** ", "† ", "‡ "], [f"<sup>{c}</sup> " for c in "abcd"], [f"{i}) " for i in range(1, 5)]])
    lead = NOTE.get(b.language, r.choice(["Note: ", "Notes. ", "Source: ", "<i>Note.</i> "]))
    if b.cjk and r.random() < 0.5:
        lead = r.choice(["资料来源：", "数据来源：", "注：", "说明："])
    lines = [lead + b.prose(3, 25)] if r.random() < 0.6 else []
    lines += [m + b.prose(3, 16) for m in marks[: r.randint(0 if lines else 1, 4)]]
    inner = r.choice(["<br>", " "]).join(lines)
    return ptext(inner, f"font-size:{size * r.choice([0.8, 0.9, 1]):.2f}em;margin:{r.choice([0.1, 0.25, 0.5])}em 0;text-align:left;line-height:1.2", "table_footnote")  # fmt: skip


def panels(b: Blocks, w: float, h: float) -> str:
    """A figure of several panels in rows, with letters or small titles of their own: one region."""
    r = b.rng
    cols, rows = r.choice([(2, 1), (3, 1), (2, 2), (3, 2), (4, 1), (2, 3), (4, 2), (1, 2)])
    gap, style = r.choice([2, 6, 12]), r.choice(["none", "above", "below", "corner", "title"])
    fs = r.choice([9, 10, 12])
    out = []
    pw, ph = (w - gap * (cols - 1)) / cols, (h - gap * (rows - 1)) / rows
    for i in range(cols * rows):
        letter = r.choice(["({})", "{}", "{}."]).format("abcdefgh"[i]) if style != "title" else b.text(3)[:26]
        tag = f'<div style="font-size:{fs}px;line-height:{fs + 2}px;height:{fs + 2}px;text-align:{"left" if style in ("above", "corner") else "center"};font-weight:{"bold" if style != "below" else "normal"};overflow:hidden;white-space:nowrap">{letter}</div>'
        tag = "" if style == "none" else tag
        ih = ph - (fs + 2 if tag else 0)
        pic = f'<div style="height:{ih:.0f}px">{b.drawing(pw, ih)}</div>'
        out.append(
            f'<div style="width:{pw:.1f}px;height:{ph:.1f}px;overflow:hidden">{pic + tag if style == "below" else tag + pic}</div>'
        )
    return f'<div data-l="figure" data-box="el" style="display:flex;flex-wrap:wrap;gap:{gap}px;width:{w:.0f}px;height:{h:.0f}px;margin:0 auto;overflow:hidden;color:#111">{"".join(out)}</div>'


def panel_figure(b: Blocks, w: float, most: float = 420, css: str = "") -> str:
    """Panels with a long caption."""
    r = b.rng
    pic = panels(b, w * r.choice([1, 1, 0.9, 0.75]), min(most, w * r.uniform(0.35, 0.9)))
    cap = b.caption("figure_caption")
    return f'<div style="break-inside:avoid;margin:.8em 0;{css}" class="float">{pic + cap if r.random() < 0.9 else cap + pic}</div>'


def listing(b: Blocks, lines: int) -> str:
    """A program listing: one region, with line numbers or without."""
    r = b.rng
    names = [v for v in (w.strip("'\"()[],.;:").lower()[:9] for w in b.text(60).split()) if v.isascii() and v.isalpha()] or ["x", "value", "count", "self", "data"]  # fmt: skip
    v = lambda: r.choice(names)  # noqa: E731
    forms = ["{} = {}({}, {})", "if {} == {}:", "def {}({}, {}):", "return {}[{}]", "$ {} --{} {}", "# {} {} {} {}", "for ({} = 0; {} < {}; i++) {{", "}}",
             "{}.{}({});", "<{}>{}</{}>", "SELECT {}, {} FROM {};", "import {}.{}", "int {}[{}] = {{0}};", "while ({} != {})", ""]  # fmt: skip
    indent, numbered, out = 0, r.random() < 0.25, []
    for i in range(lines):
        indent = max(0, min(5, indent + r.choice([-1, 0, 0, 1])))
        form = r.choice(forms)
        line = html.escape(" " * (indent * r.choice([2, 4])) + form.format(*(v() for _ in range(6))))
        if r.random() < 0.12:
            line += html.escape("  // " + " ".join(v() for _ in range(r.randint(2, 6))))
        out.append((f"<span style='color:#888'>{i + 1:3d}</span>  " if numbered else "") + line[:400])
    css = r.choice(["", "", "background:#f4f4f4;padding:6px", "border:1px solid #999;padding:5px", "border-top:1px solid #000;border-bottom:1px solid #000;padding:3px",
                    "background:#22272e;color:#ddd;padding:8px", "border-left:3px solid #999;padding-left:8px"])  # fmt: skip
    return ptext("\n".join(out), f"font-family:'{b.style.mono}';font-size:{r.choice([0.72, 0.8, 0.9])}em;line-height:{r.choice([1.1, 1.2, 1.35])};margin:.6em 0;white-space:pre-wrap;overflow-wrap:anywhere;break-inside:{'avoid' if lines < 9 else 'auto'};{css}")  # fmt: skip


def terms(b: Blocks, n: int) -> str:
    """Terms with explanations, the term on the line before or at the left: plain text, one region a term."""
    r = b.rng
    mono = f"font-family:'{b.style.mono}';" if r.random() < 0.5 else ""
    side = r.random() < 0.35
    out = []
    for _ in range(n):
        term = f'<span style="{mono}font-weight:{r.choice([400, 700, 700])}">{b.phrase(1, 3)}</span>'
        if side:
            out.append(
                f'<div data-l="plain text" style="display:flex;margin:0 0 .35em;break-inside:avoid"><span style="flex:0 0 7.5em">{term}</span><span style="flex:1">{b.prose(5, 30)}</span></div>'
            )
        else:
            out.append(
                ptext(
                    f'{term}<br><span style="display:block;margin-left:2em">{b.prose(6, 40)}</span>',
                    "margin:0 0 .5em;break-inside:avoid",
                )
            )
    return "".join(out)


def foot(b: Blocks, x: float, y: float, w: float, h: float) -> str:
    """Footnotes of a book or paper at the foot of a page or column: abandon, one region each; up to six."""
    r = b.rng
    rule = r.choice(
        [
            "width:30%;border-top:1px solid #333",
            "width:100%;border-top:1px solid #333",
            "width:8em;border-top:1px solid #333",
            "",
        ]
    )
    n = r.randint(1, 6)
    first = r.randint(1, 80)
    mark = r.choice(["sup", "plain", "circle", "bracket", "star"])
    out = []
    for i in range(n):
        m = {
            "sup": f"<sup>{first + i}</sup>",
            "plain": f"{first + i}.",
            "circle": CIRCLED[i],
            "bracket": f"[{first + i}]",
            "star": "∗†‡§¶#"[i],
        }[mark]
        out.append(ptext(f"{m} {b.prose(4, 36)}", "margin:0 0 .15em", "abandon"))
    inner = f'<div style="font-size:{r.choice([0.72, 0.8, 0.85])}em;line-height:{1.2 if not b.cjk else 1.4}"><div style="{rule};margin-bottom:4px"></div>{"".join(out)}</div>'
    return columns(b, inner, x, y, w, h, 1).replace("column-rule:1px solid #888;", "")


def journal(b: Blocks, w: int, h: int) -> str:
    """A crowded journal page: small type, two or three columns, floats over one or all columns, notes, footnotes."""
    r = b.rng
    b.leading = r.choice([1.1, 1.15, 1.2]) + (0.15 if b.cjk else 0)
    b.caption_rate = 0.97
    b.caption_css = (
        f"font-size:{r.choice([0.8, 0.85, 0.9])}em;text-align:{r.choice(['left', 'justify', 'center'])};line-height:1.2"
    )
    b.figure_caption_below = True
    left = right = r.choice([44, 52, 60, 72])
    top, bottom = r.choice([58, 70, 84]), r.choice([56, 70])
    n = r.choice([2, 2, 2, 2, 3])
    gap = r.choice([16, 20, 26])
    width = w - left - right
    cw = colw(width, n, gap)
    out, body = [furniture(b, w, h, left, right, top - 30, 0.95)], []
    y = float(top)
    k = r.random()
    if k < 0.25:  # first page
        band = r.random() < 0.4
        title = b.heading(1) + b.authors()
        if band:
            title = (
                at(
                    left,
                    y - 6,
                    90,
                    f'<div data-l="figure" data-box="el" style="width:86px;height:40px">{figures.logo(r, b.text, 86, 40)}</div>',
                )
                * (r.random() < 0.5)
                + title
            )
        abstract = (b.heading(3) if r.random() < 0.5 else "") + b.para(80, 190, "text-indent:0;")
        key = ptext(
            f"<b>{r.choice(['Keywords', 'Key words', '关键词', 'Mots-clés']) if not b.cjk else '关键词'}:</b> {b.phrase(4, 12)}",
            "margin:.3em 0",
        )
        if r.random() < 0.35:  # article information beside the abstract
            info = ptext(
                "<br>".join([f"<b>{b.phrase(1, 2)}</b>", b.phrase(2, 5), b.phrase(2, 5)]),
                "font-size:.85em;margin-bottom:.8em",
            )
            inner = f'<div style="display:flex;gap:20px;border-top:1px solid #888;border-bottom:1px solid #888;padding:8px 0;margin:.8em 0"><div style="flex:0 0 26%">{info * 2}</div><div style="flex:1;font-size:.92em">{abstract}{key}</div></div>'
        else:
            boxed = r.choice(["", "", "background:#eef;padding:10px", "border:1px solid #888;padding:8px"])
            inner = (
                f'<div style="margin:.5em {r.choice([0, 0, 2])}em 1em;font-size:.92em;{boxed}">{abstract}{key}</div>'
            )
        body.append(span(title + inner))
    elif k < 0.6:  # a float over all columns at the head
        body.append(
            span(
                panel_figure(b, width, 330)
                if r.random() < 0.6
                else text_table(b, width)
                if r.random() < 0.4
                else b.table(w=width, words=2).replace("width:auto", "width:100%")
            )
        )
    foot_h = r.choice([0, 0, 46, 80, 110])
    below = r.random() < 0.2
    wide_h = 250 if below else 0
    weights = {"p": 9, "h": 1.1, "h3": 0.6, "table": 1.2, "figure": 1.0, "formula": r.choice([0, 0.5, 3])}
    blocks = []
    for _ in range(46):
        q = r.random()
        blocks.append(
            panel_figure(b, cw, 300)
            if q < 0.05
            else text_table(b, cw)
            if q < 0.09
            else b.table(w=cw) + ""
            if q < 0.12
            else b.flow(1, cw, weights)
        )
    if r.random() < 0.15:
        blocks[r.randint(2, 8) :] = [b.heading(2), b.references(30)]
    body += blocks
    out.append(columns(b, "".join(body), left, y, width, h - y - bottom - foot_h - wide_h, n, gap))
    if below:
        out.append(
            columns(b, panel_figure(b, width, 190), left, h - bottom - foot_h - wide_h + 8, width, wide_h - 8, 1, gap)
        )
    if foot_h:
        i = r.choice([0, 0, n - 1])
        out.append(foot(b, left + i * (cw + gap), h - bottom - foot_h + 6, cw, foot_h))
    return small(b, "".join(out), w, 9, 12.5)


def broadsheet(b: Blocks, w: int, h: int) -> str:
    """A newspaper page as a grid of stories with rules, bylines, photographs, briefs and advertisements."""
    r = b.rng
    b.numbered, b.caption_rate, b.indent = "", 0.8, r.choice([0, 1, 2])
    b.leading = r.choice([1.05, 1.12, 1.2]) + (0.15 if b.cjk else 0)
    b.align = "justify"
    m = r.choice([22, 30, 40])
    width, y = w - 2 * m, float(r.choice([44, 56]))
    out = []
    if r.random() < 0.3:
        name = f'<div data-l="title" style="text-align:{r.choice(["center", "left"])};font-size:{r.randint(40, 70)}px;line-height:1.05;font-weight:700">{b.phrase(1, 2)}</div>'
        out.append(at(m, y - 20, width, name, "white-space:nowrap;overflow:hidden"))
        y += 66
    out.append(
        at(
            m,
            16,
            width,
            f'<span data-l="abandon">{r.randint(1, 40)}</span><span data-l="abandon">{b.phrase(1, 3)}</span><span data-l="abandon">{b.phrase(2, 5)}</span>',
            "font-size:11px;display:flex;justify-content:space-between;border-bottom:1px solid #000",
        )
    )
    units = r.choice([4, 5, 6])
    gap = r.choice([10, 14, 18])
    uw = colw(width, units, gap)

    def caption() -> str:
        words = b.prose(5, 22)
        return (
            ptext(
                words,
                f"font-size:.82em;line-height:1.15;margin:.25em 0 .5em;font-weight:{r.choice([400, 700])};text-align:left",
                "figure_caption",
            )
            if r.random() < 0.75
            else ""
        )

    def story(x: float, top: float, n: int, height: float) -> str:
        sw = uw * n + gap * (n - 1)
        size = r.uniform(1.3, 2.0) + 0.35 * n
        kicker = (
            ptext(b.phrase(2, 4), f"font-size:.85em;color:{b.style.accent};font-weight:700", "title")
            if r.random() < 0.15
            else ""
        )
        head = ptext(
            b.phrase(3, 4 + 2 * n),
            f"font-family:'{b.style.heading_font}';font-size:{size:.2f}em;line-height:1.08;font-weight:{r.choice([400, 700, 700])};margin:.05em 0 .3em",
            "title",
        )
        deck = ptext(b.prose(8, 22), "font-size:1.1em;font-style:italic;margin-bottom:.4em") if r.random() < 0.3 else ""
        by = ptext(f"{b.phrase(2, 3)}", "font-size:.8em;font-weight:700;margin:.2em 0") if r.random() < 0.5 else ""
        wide = (
            f'<div style="margin:.3em 0">{b.picture("100%", min(height * 0.45, sw * 0.6), w=sw)}{caption()}</div>'
            if r.random() < 0.35 and height > 260
            else ""
        )
        inset = (
            f'<div style="break-inside:avoid;margin:.3em 0">{b.picture("100%", uw * r.uniform(0.6, 1.1), w=uw)}{caption()}</div>'
            if r.random() < 0.4
            else ""
        )
        paras = [b.para(12, 60) for _ in range(26)]
        paras.insert(r.randint(0, 4), inset)
        if r.random() < 0.4:
            paras.insert(r.randint(3, 7), b.heading(3))
        if r.random() < 0.12:
            paras.insert(1, text_table(b, uw, 4, caption=False))
        body = span(kicker + head + deck + by + wide) + "".join(paras)
        boxed = r.choice(["", "", "", "#f0f0f0", figures.colour(r, (88, 95))])
        under = (
            f'<div style="position:absolute;left:{x - 5:.0f}px;top:{top - 4:.0f}px;width:{sw + 10:.0f}px;height:{height - 4:.0f}px;background:{boxed}"></div>'
            if boxed
            else ""
        )
        rule = (
            f'<div style="position:absolute;left:{x:.0f}px;top:{top - 6:.0f}px;width:{sw:.0f}px;border-top:1px solid #555"></div>'
            if r.random() < 0.5 and not boxed
            else ""
        )
        return under + rule + columns(b, body, x, top, sw, height - 12, n, gap)

    def advert(x: float, top: float, n: int, height: float) -> str:
        sw = uw * n + gap * (n - 1)
        pic = b.drawing(sw, height - 16)
        return at(
            x,
            top,
            sw,
            f'<div data-l="figure" data-box="el" style="height:{height - 16:.0f}px;border:1px solid #333;overflow:hidden">{pic}</div>',
        )

    while y < h - 130:
        height = min(r.randint(170, 420), h - 40 - y)
        if h - 40 - y - height < 130:
            height = h - 40 - y
        i = 0
        while i < units:
            n = min(units - i, r.choice([1, 1, 2, 2, 3, 4]))
            if units - i - n == 1 and r.random() < 0.5:
                n += 1
            x = m + i * (uw + gap)
            if r.random() < 0.07:
                out.append(advert(x, y, n, height))
            elif n == 1 and r.random() < 0.4 and height > 240:
                cut = height * r.uniform(0.35, 0.65)
                out += [story(x, y, 1, cut), story(x, y + cut, 1, height - cut)]
            else:
                out.append(story(x, y, n, height))
            i += n
        y += height + 6
    return small(b, "".join(out), w, 7.5, 11)


def regulations(b: Blocks, w: int, h: int) -> str:
    """Clauses, numbered paragraphs, close lists in one to three columns: laws, contracts, minutes, terms of use."""
    r = b.rng
    left, top, right, bottom = margins(b)
    n = r.choice([1, 1, 1, 2, 2, 3])
    b.leading = r.choice([1.1, 1.2, 1.35, 1.5]) + (0.15 if b.cjk else 0)
    gap = r.choice([0, 0, 0.2, 0.5])
    width = w - left - right
    out, body = [furniture(b, w, h, left, right, top - 36)], []
    if r.random() < 0.25:
        body.append(span(b.heading(1)))
    clause = r.choice(["{}. ", "{}.{} ", "({}) ", "§ {} ", "Art. {} ", "[{:04d}] "])
    if b.cjk:
        clause = r.choice(["第{}条 ", "{}、", "（{}）", "{}.{} "])
    no = r.randint(1, 60)
    for _ in range(30):
        k = r.random()
        if k < 0.13:
            body.append(b.heading(r.choice([2, 3])))
        elif k < 0.4:
            body.append(close_list(b, r.randint(3, 12)))
        elif k < 0.44:
            body.append(text_table(b, colw(width, n)))
        else:
            hang = r.choice([0, 0, 2])
            body.append(
                ptext(
                    clause.format(no, r.randint(1, 9)) + b.prose(8, 90),
                    f"margin:0 0 {gap}em;text-align:{b.align};padding-left:{hang}em;text-indent:{-hang if hang else r.choice([0, b.indent])}em",
                )
            )
            no += 1
    foot_h = r.choice([0, 0, 80])
    out.append(columns(b, "".join(body), left, top, width, h - top - bottom - foot_h, n))
    if foot_h:
        out.append(foot(b, left, h - bottom - foot_h + 8, width, foot_h))
    if r.random() < 0.15:  # line numbers
        step = r.choice([22, 26, 30])
        for i in range(5, int((h - top - bottom) / step), 5):
            out.append(
                at(
                    left - 30,
                    top + i * step,
                    20,
                    f'<span data-l="abandon">{i}</span>',
                    "font-size:9px;text-align:right",
                )
            )
    return "".join(out)


def reference(b: Blocks, w: int, h: int) -> str:
    """Software reference: listings of many lines, terms with explanations, options, text tables."""
    r = b.rng
    b.align = "left"
    left, top, right, bottom = margins(b)
    width = w - left - right
    n = r.choice([1, 1, 1, 2])
    cw = colw(width, n)
    body = []
    for _ in range(24):
        k = r.random()
        body.append(b.heading(r.choice([2, 3, 3])) if k < 0.17 else listing(b, r.choice([1, 1, 3, 6, 12, 22])) if k < 0.4 else terms(b, r.randint(2, 7)) if k < 0.55
                    else close_list(b, r.randint(2, 8)) if k < 0.65 else text_table(b, cw) if k < 0.72 else b.figure(cw) if k < 0.75
                    else b.box(b.para(8, 30)) if k < 0.8 else b.para(6, 60))  # fmt: skip
    return furniture(b, w, h, left, right) + columns(b, "".join(body), left, top, width, h - top - bottom, n)


def tables(b: Blocks, w: int, h: int) -> str:
    """Text tables and number tables with captions and notes, some without any rule, some as wide as the page."""
    r = b.rng
    b.note_rate, b.caption_rate = 0.8, 0.9
    left = right = r.choice([30, 45, 60, 80])
    top, bottom = r.choice([60, 76, 90]), 70
    width = w - left - right
    n = r.choice([1, 1, 1, 2])
    cw = colw(width, n)
    body = [b.heading(2)] if r.random() < 0.5 else []
    for _ in range(9):
        k = r.random()
        body.append(
            text_table(b, cw, r.choice([None, None, 14]))
            if k < 0.5
            else b.table(r.randint(3, 16), words=r.choice([1, 2, 4]), w=cw)
            if k < 0.75
            else b.para(10, 70)
            if k < 0.93
            else b.heading(2)
        )
    return furniture(b, w, h, left, right) + columns(b, "".join(body), left, top, width, h - top - bottom, n)


def scholarly(b: Blocks, w: int, h: int) -> str:
    """A scholarly book: footnotes on most pages, quotations, dialogue, verse, side notes, Chinese circled notes."""
    r = b.rng
    left, top, right, bottom = margins(b)
    left, right = left + 16, right + 16
    b.gap, b.indent = 0, 2 if b.cjk else r.choice([1, 1.5, 2])
    side = r.random() < 0.25
    width = w - left - right - (100 if side else 0)
    head = (b.heading(1) if r.random() < 0.5 else b.heading(2)) if r.random() < 0.3 else ""
    body = [head]
    for _ in range(26):
        k = r.random()
        verse = ptext("<br>".join(b.phrase(4, 9) for _ in range(r.randint(2, 8))), "margin:.7em 3em;break-inside:avoid")
        body.append(b.quote() if k < 0.08 else verse if k < 0.12 else b.heading(r.choice([2, 3])) if k < 0.18 else b.figure(width) if k < 0.21 else b.para(4, 15) if k < 0.3
                    else close_list(b, r.randint(2, 5)) if k < 0.33 else b.para(30, 150))  # fmt: skip
    foot_h = r.choice([0, 60, 100, 150, 210])
    out = furniture(b, w, h, left, right, top - r.choice([28, 36])) + columns(
        b, "".join(body), left, top, width, h - top - bottom - foot_h, 1
    )
    if foot_h:
        out += foot(b, left, h - bottom - foot_h + 8, width, foot_h)
    if side:
        y = top + r.randint(0, 60)
        while y < h - bottom - foot_h - 120:
            out += at(
                left + width + 14,
                y,
                86 + right - 30,
                ptext(b.prose(3, 12), "font-size:.72em;line-height:1.15", "abandon"),
            )
            y += r.randint(110, 380)
    return out


def broker(b: Blocks, w: int, h: int) -> str:
    """A broker's or public body's report: pairs of charts with captions above and sources below, key figures beside."""
    r = b.rng
    left, right = r.choice([40, 55, 70]), r.choice([40, 55])
    top, bottom, width = 86, 74, w - left - right
    b.indent = 2 if b.cjk else 0
    out = [furniture(b, w, h, left, right, 40, 1.0)]
    band = f'<div style="position:absolute;left:{left}px;top:64px;width:{width}px;border-top:{r.choice([1, 2, 4])}px solid {b.style.accent}"></div>'
    out.append(band)
    source = r.choice(["资料来源：", "数据来源：", "来源："]) if b.cjk else r.choice(["Source: ", "Sources: "])

    def pair() -> str:
        k = r.choice([1, 2, 2, 2, 3])
        cells, ch = [], r.randint(110, 210)
        for _ in range(k):
            cw = (width - 16 * (k - 1)) / k
            cap, src = (
                b.caption("figure_caption"),
                ptext(source + b.phrase(2, 6), "font-size:.75em;margin-top:.2em", "figure_caption"),
            )
            pic = f'<div data-l="figure" data-box="el" style="height:{ch}px;overflow:hidden">{figures.chart(r, lambda n: b.text(n)[:20], cw, ch)}</div>'
            line = (
                f"border-top:1px solid {b.style.accent};border-bottom:1px solid {b.style.accent};"
                if r.random() < 0.5
                else ""
            )
            cells.append(
                f'<div style="flex:1;min-width:0">{cap}<div style="{line}">{pic}</div>{src if r.random() < 0.85 else ""}</div>'
            )
        return (
            f'<div style="display:flex;gap:16px;margin:.7em 0;break-inside:avoid;font-size:.9em">{"".join(cells)}</div>'
        )

    side = r.random() < 0.3
    if side:
        sw = width * 0.3
        inner = "".join(
            [
                b.heading(3),
                b.table(r.randint(3, 8), 2, 1, False, sw).replace("width:auto", "width:100%"),
                b.heading(3),
                b.pairs(5),
                b.figure(sw),
                ptext(b.phrase(2, 4) + "<br>" + b.phrase(1, 2)),
            ]
        )
        x = left if r.random() < 0.5 else w - right - sw
        out.append(columns(b, inner, x, top, sw, h - top - bottom, 1))
        width -= sw + 24
        left = left + (sw + 24 if x == left else 0)
    body = [b.heading(1)] if side or r.random() < 0.2 else []
    for _ in range(14):
        k = r.random()
        body.append(
            pair()
            if k < 0.3 and not side
            else b.heading(2)
            if k < 0.4
            else close_list(b, r.randint(2, 6), (10, 60))
            if k < 0.55
            else b.table(r.randint(4, 14), r.randint(4, 8), 1, True, width).replace("width:auto", "width:100%")
            if k < 0.65
            else b.para(30, 130)
        )
    out.append(columns(b, "".join(body), left, top, width, h - top - bottom, 1))
    return "".join(out)


def schoolbook(b: Blocks, w: int, h: int) -> str:
    """A school book or workbook: coloured boxes, pictures side by side with captions, questions, vocabulary."""
    r = b.rng
    b.align, b.numbered = "left", ""
    left, right, top, bottom = r.choice([40, 60]), r.choice([40, 60]), r.choice([60, 84]), 66
    width = w - left - right
    tint = figures.colour(r, (88, 95))
    out = [
        f'<div style="position:absolute;inset:0;background:{r.choice(["#fff", "#fff", "#fffdf5", tint])}"></div>',
        furniture(b, w, h, left, right, 26),
    ]
    n = r.choice([1, 1, 2])
    cw = colw(width, n)

    def activity() -> str:
        bar = ptext(
            b.phrase(1, 4),
            f"background:{b.style.accent};color:#fff;padding:3px 10px;display:inline-block;border-radius:{r.choice([0, 8, 14])}px;font-weight:700;margin-bottom:.4em",
            "title",
        )
        inner = "".join(
            r.choice([lambda: b.para(8, 35), lambda: close_list(b, r.randint(2, 4), (3, 20)), lambda: b.formula()])()
            for _ in range(r.randint(1, 3))
        )
        return f'<div style="background:{figures.colour(r, (88, 95))};border-radius:{r.choice([0, 10])}px;padding:10px;margin:.7em 0;break-inside:avoid">{bar}{inner}</div>'

    def row() -> str:
        k = r.randint(2, 4) if n == 1 else 2
        ph = cw / k * r.uniform(0.55, 0.9)
        cells = "".join(f'<div style="flex:1;min-width:0"><div data-l="figure" data-box="el" style="height:{ph:.0f}px;overflow:hidden">{b.drawing(cw / k, ph)}</div>'
                        + ptext(b.phrase(1, 7), "font-size:.8em;text-align:center;margin-top:.2em", "figure_caption") + "</div>" for _ in range(k))  # fmt: skip
        return f'<div style="display:flex;gap:14px;margin:.7em 0;break-inside:avoid">{cells}</div>'

    def question(i: int) -> str:
        text = f"{i}{r.choice(['.', ')', '、', '．'])} {b.prose(6, 40)}"
        if r.random() < 0.25:  # a sketch at the right
            return (f'<div style="display:flex;gap:12px;margin:.5em 0;break-inside:avoid">{ptext(text, "flex:1")}'
                    f'<div data-l="figure" data-box="el" style="flex:0 0 {cw * 0.28:.0f}px;height:{cw * 0.2:.0f}px;overflow:hidden">{b.drawing(cw * 0.28, cw * 0.2)}</div></div>')  # fmt: skip
        return ptext(text, "margin:.35em 0")

    body = [b.heading(1)] if r.random() < 0.3 else []
    for i in range(18):
        k = r.random()
        body.append(
            activity()
            if k < 0.2
            else row()
            if k < 0.32
            else b.heading(r.choice([2, 3]))
            if k < 0.42
            else question(i + 1)
            if k < 0.62
            else b.figure(cw)
            if k < 0.68
            else b.formula()
            if k < 0.74
            else text_table(b, cw)
            if k < 0.79
            else b.para(12, 60)
        )
    out.append(columns(b, "".join(body), left, top, width, h - top - bottom, n))
    return "".join(out)


def examination(b: Blocks, w: int, h: int) -> str:
    """A dense examination paper: close questions and options, sketches at the right, materials in boxes, seal line."""
    r = b.rng
    b.indent, b.align = 0, "left"
    seal = r.random() < 0.3
    left, right, top, bottom = (80 if seal else r.choice([45, 60])), r.choice([40, 55]), r.choice([50, 70]), 56
    n = 2 if w > h else r.choice([1, 1, 2])
    width = w - left - right
    cw = colw(width, n)
    b.leading = r.choice([1.2, 1.35, 1.5])
    out = [furniture(b, w, h, left, right, 22, 0.6)]
    if seal:
        out.append(
            f'<div data-l="abandon" style="position:absolute;left:24px;top:{h * 0.2:.0f}px;height:{h * 0.5:.0f}px;writing-mode:vertical-rl;letter-spacing:12px;font-size:12px;white-space:nowrap;overflow:hidden">{"密封线内不要答题 姓名______ 班级______" if b.cjk else b.phrase(3, 5)}</div><div style="position:absolute;left:54px;top:30px;height:{h - 60}px;border-left:1px dashed #555"></div>'
        )
    body = []
    if r.random() < 0.35:
        body.append(span(b.heading(1) + ptext(b.phrase(3, 9), "text-align:center;margin-bottom:.5em")))
    fence = r.choice([".", "．", "、", ")"])
    for i in range(1, 40):
        k = r.random()
        if k < 0.08:
            body.append(
                ptext(
                    f"{'一二三四五六七八'[i % 8]}、{b.phrase(3, 12)}" if b.cjk else f"{b.phrase(3, 9)}",
                    "font-weight:700;margin:.4em 0 .2em",
                    "title",
                )
            )
        if k > 0.93:
            body.append(f'<div style="border:1px solid #555;padding:6px;margin:.4em 0">{b.para(40, 110)}</div>')
        stem = ptext(f"{i}{fence} {b.prose(6, 60)}", "margin:.15em 0 .05em")
        q = r.random()
        sketch = f'<div data-l="figure" data-box="el" style="flex:0 0 {cw * 0.26:.0f}px;height:{cw * 0.22:.0f}px;overflow:hidden">{figures.sketch(r, b.text, cw * 0.26, cw * 0.22) if r.random() < 0.6 else b.drawing(cw * 0.26, cw * 0.22)}</div>'
        if q < 0.15:
            stem = f'<div style="display:flex;gap:8px;break-inside:avoid">{stem.replace("margin:", "flex:1;margin:", 1)}{sketch}</div>'
        body.append(stem)
        if q > 0.35:
            per = r.choice([1, 2, 4, 4])
            options = [f"{c}{fence} {b.phrase(1, 5)}" for c in "ABCD"]
            for j in range(0, 4, per):
                body.append(
                    '<div data-l="plain text" style="display:flex;margin:0 0 .02em 1.2em">'
                    + "".join(f'<span style="flex:1">{o}</span>' for o in options[j : j + per])
                    + "</div>"
                )
        elif q > 0.28:
            body.append(b.formula())
        elif q > 0.22:
            body.append(b.table(r.randint(2, 4), r.randint(3, 6), caption=False, w=cw))
        elif q > 0.18:
            body.append(f'<div style="height:{r.randint(20, 70)}px"></div>')
    out.append(columns(b, "".join(body), left, top, width, h - top - bottom, n))
    return small(b, "".join(out), max(w, 794), 9.5, 13.5)


def brochure(b: Blocks, w: int, h: int) -> str:
    """Scattered boxes on a grid: brochures, leaflets, annual reports, posters; big figures, light text on dark."""
    r = b.rng
    b.numbered, b.align, b.indent = "", "left", 0
    m, gap = r.choice([30, 44, 60]), r.choice([14, 22, 30])
    cols = r.choice([2, 3]) if h >= w else r.choice([2, 3, 4])
    rows = r.choice([3, 4, 5]) if h >= w else r.choice([2, 3])
    cw, y0 = colw(w - 2 * m, cols, gap), 130 if r.random() < 0.7 else m
    out = [
        f'<div style="position:absolute;inset:0;background:{r.choice(["#fff", "#fff", figures.colour(r, (90, 97))])}"></div>'
    ]
    if y0 == 130:
        band = r.random() < 0.4
        if band:
            out.append(
                f'<div style="position:absolute;left:0;top:0;width:{w}px;height:112px;background:{figures.colour(r, (18, 40))}"></div>'
            )
        out.append(
            at(
                m,
                34,
                w - 2 * m,
                ptext(
                    b.phrase(2, 6),
                    f"font-size:{r.randint(24, 40)}px;line-height:1.1;white-space:nowrap;overflow:hidden;font-weight:700;color:{'#fff' if band else b.style.accent}",
                    "title",
                ),
            )
        )
    rh = (h - y0 - 70 - gap * (rows - 1)) / rows
    taken: set[tuple[int, int]] = set()
    for i in range(rows):
        for j in range(cols):
            if (i, j) in taken:
                continue
            ew = r.choice([1, 1, 2]) if j + 1 < cols and (i, j + 1) not in taken else 1
            eh = r.choice([1, 1, 2]) if i + 1 < rows and all((i + 1, j + q) not in taken for q in range(ew)) else 1
            taken |= {(i + p, j + q) for p in range(eh) for q in range(ew)}
            x, y = m + j * (cw + gap), y0 + i * (rh + gap)
            bw, bh = cw * ew + gap * (ew - 1), rh * eh + gap * (eh - 1)
            kind = r.choice(["text", "text", "list", "figure", "figure", "number", "table", "blank"])
            dark = r.random() < 0.25 and kind not in ("figure", "blank")
            back = figures.colour(r, (20, 40)) if dark else r.choice(["", "", figures.colour(r, (86, 95)), "border"])
            pad = 12 if back else 0
            if back:
                out.append(
                    f'<div style="position:absolute;left:{x:.0f}px;top:{y:.0f}px;width:{bw:.0f}px;height:{bh:.0f}px;{"border:1px solid #888" if back == "border" else "background:" + back}"></div>'
                )
            head = b.heading(3) if r.random() < 0.7 else ""
            if dark:
                head = head.replace(b.style.accent, "#fff")
            if kind == "figure":
                out.append(at(x + pad, y + pad, bw - 2 * pad, f'<div data-l="figure" data-box="el" style="height:{bh - 2 * pad - 24:.0f}px;overflow:hidden;color:#111">{b.drawing(bw - 2 * pad, bh - 2 * pad - 24)}</div>'
                              + (ptext(b.phrase(2, 7), "font-size:.78em;line-height:1.2;white-space:nowrap;overflow:hidden", "figure_caption") if r.random() < 0.4 else "")))  # fmt: skip
                continue
            inner = {"text": lambda h_=head: h_ + "".join(b.para(10, 50) for _ in range(8)), "list": lambda h_=head: h_ + close_list(b, 9, (2, 18)),
                     "number": lambda: "".join(ptext(b.number(), f"font-size:{r.uniform(2, 3.4):.1f}em;line-height:1.1;font-weight:700", "title") + b.para(4, 14, "margin-bottom:1em;") for _ in range(2)),
                     "table": lambda bw_=bw: b.table(r.randint(3, 7), r.randint(2, 3), 1, r.random() < 0.4, bw_ - 24).replace("width:auto", "width:100%"), "blank": lambda: ""}[kind]()  # fmt: skip
            if dark and kind == "table":
                inner = b.para(10, 40)
            box = columns(b, inner, x + pad, y + pad, bw - 2 * pad, bh - 2 * pad, 1)
            out.append(
                f'<div style="color:{"#fff" if dark else "#111"};font-size:{r.choice([0.85, 1, 1.1])}em">{box}</div>'
            )
    if r.random() < 0.6:
        out.append(
            at(
                m,
                h - 36,
                w - 2 * m,
                f'<span data-l="abandon">{b.phrase(2, 6)}</span><span data-l="abandon">{r.randint(1, 90)}</span>',
                "font-size:10px;display:flex;justify-content:space-between",
            )
        )
    return "".join(out)


def lecture(b: Blocks, w: int, h: int) -> str:
    """Lecture slides: head and foot lines, coloured blocks, listings, formulas, panels, dense bullets, text tables."""
    r = b.rng
    b.align, b.indent, b.numbered = "left", 0, ""
    b.gap = 0.3
    fs = h / r.choice([24, 28, 32, 38])
    pad = w * r.uniform(0.03, 0.08)
    dark = r.random() < 0.2
    back, ink = (figures.colour(r, (8, 24)), "#f0f0f0") if dark else ("#fff", r.choice(["#000", "#222"]))
    out = [f'<div style="position:absolute;inset:0;background:{back}"></div>']
    y = h * 0.03
    if r.random() < 0.3:  # sections in the head line
        names = "".join(f'<span data-l="abandon">{b.phrase(1, 2)}</span>' for _ in range(r.randint(2, 4)))
        out.append(
            at(
                0,
                0,
                w,
                names,
                f"display:flex;justify-content:space-around;background:{r.choice(['#222', b.style.accent])};color:#fff;font-size:{fs * 0.42:.0f}px;padding:3px 0",
            )
        )
        y = h * 0.055
    bar = r.random() < 0.35
    size = fs * r.uniform(1.15, 1.6)
    if r.random() < 0.94:
        if bar:
            out.append(
                f'<div style="position:absolute;left:0;top:{y:.0f}px;width:{w}px;height:{size * 1.7:.0f}px;background:{b.style.accent}"></div>'
            )
        out.append(
            at(
                pad,
                y + size * 0.25,
                w - 2 * pad,
                ptext(
                    b.phrase(2, 8),
                    f"font-size:{size:.0f}px;line-height:1.15;white-space:nowrap;overflow:hidden;font-weight:{r.choice([400, 700])};color:{'#fff' if bar else r.choice([ink, b.style.accent if not dark else ink])}",
                    "title",
                ),
            )
        )
        y += size * 1.9
    bottom = h * 0.92
    parts = r.choice([1, 1, 1, 2, 2, 3])
    gap = w * 0.03
    cw = colw(w - 2 * pad, parts, gap)

    def block() -> str:
        c = figures.colour(r, (22, 42))
        head = ptext(b.phrase(1, 5), "", "title")
        return (f'<div style="margin:.4em 0;break-inside:avoid"><div style="background:{c};color:#fff;padding:.15em .5em">{head}</div>'
                f'<div style="background:{figures.colour(r, (90, 96))};padding:.3em .5em;color:#000">{r.choice([lambda: b.para(6, 30), lambda: b.formula(), lambda: close_list(b, 3, (2, 12))])()}</div></div>')  # fmt: skip

    for i in range(parts):
        height = bottom - y
        body = []
        if parts > 1 and r.random() < 0.3:
            body.append(ptext(b.phrase(1, 3), "font-weight:700;font-size:1.1em;margin-bottom:.3em", "title"))
        for _ in range(r.choice([1, 2, 3, 5])):
            k = r.random()
            panel = (
                f'<div style="{"background:#fff;color:#111" if dark else ""}">{panel_figure(b, cw, height * 0.6)}</div>'
            )
            body.append(close_list(b, r.randint(2, 7), (2, 22)) if k < 0.33 else block() if k < 0.47 else panel if k < 0.6 else listing(b, r.randint(3, 10)) if k < 0.67
                        else b.formula() if k < 0.77 else (text_table(b, cw, r.randint(2, 6), caption=r.random() < 0.3) if not dark else b.para(5, 20)) if k < 0.86 else b.para(6, 30))  # fmt: skip
        size = fs * r.choice([0.65, 0.75, 0.85])
        out.append(
            f'<div style="font-size:{size:.1f}px">{columns(b, "".join(body), pad + i * (cw + gap), y, cw, height, 1)}</div>'
        )
    if r.random() < 0.25:
        out.append(
            at(
                pad,
                h * 0.925,
                w * 0.6,
                ptext(f"<sup>{r.randint(1, 9)}</sup> {b.phrase(4, 14)}", f"font-size:{fs * 0.45:.0f}px", "abandon"),
                "border-top:1px solid #888",
            )
        )
    if r.random() < 0.8:
        cells = "".join(
            f'<span data-l="abandon">{t}</span>'
            for t in (b.phrase(1, 2), b.phrase(2, 5), f"{r.randint(1, 40)} / {r.randint(40, 80)}")[
                r.choice([0, 1, 2]) :
            ]
        )
        css = r.choice(["", "", f"background:{b.style.accent};color:#fff"])
        out.append(
            at(
                0,
                h - fs * 0.85,
                w,
                cells,
                f"display:flex;justify-content:space-between;padding:1px {pad / 2:.0f}px;font-size:{fs * 0.42:.0f}px;{css}",
            )
        )
    return f'<div style="position:absolute;inset:0;color:{ink};line-height:1.25">{"".join(out)}</div>'


DENSE: dict[Family, float] = {
    journal: 20, broadsheet: 11, regulations: 11, reference: 9, tables: 9, scholarly: 10, broker: 8, schoolbook: 9,
    examination: 8, brochure: 7, lecture: 15,
}  # fmt: skip
