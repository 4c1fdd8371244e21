"""The pieces synthetic pages are made of, each with its label in the HTML.

``data-l`` names the class; the box is that of the element's text, or with ``data-box="el"`` of the element itself.
"""

# ruff: noqa: E501 - a line of HTML is a line
from __future__ import annotations

import html
import random
from dataclasses import dataclass, field

from . import figures
from .corpus import CJK

SERIF = ["Liberation Serif", "TeX Gyre Termes", "Latin Modern Roman", "TeX Gyre Pagella", "EB Garamond", "DejaVu Serif",
         "Linux Libertine O", "Caladea", "TeX Gyre Schola", "Noto Serif", "TeX Gyre Bonum"]  # fmt: skip
SANS = ["Liberation Sans", "Carlito", "Roboto", "Open Sans", "Lato", "Inter", "DejaVu Sans", "TeX Gyre Heros", "Noto Sans",
        "Linux Biolinum O", "Roboto Condensed", "TeX Gyre Adventor"]  # fmt: skip
MONO = ["Liberation Mono", "DejaVu Sans Mono", "TeX Gyre Cursor"]
CJK_FONTS = {
    "zh": ["Noto Serif CJK SC", "Noto Sans CJK SC", "AR PL UMing CN", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "AR PL UKai CN"],
    "tw": ["Noto Serif CJK TC", "Noto Sans CJK TC", "AR PL UMing TW", "AR PL UKai TW"],
    "ja": ["Noto Serif CJK JP", "Noto Sans CJK JP", "IPAMincho", "IPAGothic"],
}  # fmt: skip
CYRILLIC = ["Liberation Serif", "Liberation Sans", "DejaVu Serif", "DejaVu Sans", "Noto Serif", "Noto Sans", "Roboto",
            "Open Sans", "Linux Libertine O"]  # fmt: skip
FIGURE = {
    "zh": "图",
    "tw": "圖",
    "ja": "図",
    "fr": "Figure",
    "de": "Abb.",
    "es": "Figura",
    "pt": "Figura",
    "ru": "Рис.",
}
TABLE = {"zh": "表", "tw": "表", "ja": "表", "fr": "Tableau", "de": "Tabelle", "es": "Tabla", "pt": "Tabela",
         "ru": "Таблица"}  # fmt: skip
NOTE = {"zh": "注：", "tw": "註：", "ja": "注：", "fr": "Note : ", "de": "Anm.: ", "es": "Nota: ", "pt": "Nota: ",
        "ru": "Примечание: "}  # fmt: skip
GREEK = [r"\alpha", r"\beta", r"\gamma", r"\theta", r"\lambda", r"\mu", r"\sigma", r"\phi", r"\omega", r"\epsilon"]


@dataclass
class Style:
    """What the pages of one document have in common."""

    language: str
    font: str
    heading_font: str
    mono: str
    accent: str
    size: float
    photos: list[str] = field(default_factory=list)


class Blocks:
    """Makes labelled HTML in one page's manner."""

    def __init__(self, rng: random.Random, corpus: dict[str, str], style: Style) -> None:
        self.rng, self.style = rng, style
        self.language = style.language
        self.cjk = self.language in CJK
        self.source = corpus[self.language] if self.cjk else corpus[self.language].split()
        r = rng
        self.leading = r.choice([1.1, 1.15, 1.2, 1.25, 1.35, 1.5]) + (0.2 if self.cjk else 0)
        self.gap = r.choice([0, 0, 0, 0.25, 0.5, 0.7, 1.0])
        self.indent = r.choice([1, 1.5, 2]) if self.gap == 0 or r.random() < 0.2 else 0
        if self.cjk and r.random() < 0.8:
            self.indent = 2
        self.align = r.choice(["justify", "justify", "left"])
        self.heading_css = ";".join([
            f"font-weight:{r.choice([400, 700, 700, 700])}", f"color:{r.choice(['inherit', 'inherit', 'inherit', style.accent])}",
            f"font-style:{r.choice(['normal', 'normal', 'normal', 'italic'])}",
            r.choice(["", "", "", "text-transform:uppercase", "font-variant:small-caps"]),
            r.choice(["", "", "", "", f"border-bottom:1px solid {style.accent}", f"border-left:4px solid {style.accent};padding-left:6px"]),
            f"text-align:{r.choice(['left', 'left', 'left', 'center'])}",
        ])  # fmt: skip
        self.numbered = r.choice(["", "1", "1", "1.1", "I", "第"])
        if self.numbered == "第" and not self.cjk:
            self.numbered = "1"
        self.section = r.randint(1, 6)
        self.figure_no, self.table_no, self.formula_no = r.randint(1, 9), r.randint(1, 9), r.randint(1, 30)
        self.table_style = r.choice(["full", "full", "three", "three", "rows", "none", "zebra", "head", "dark"])
        self.caption_css = f"font-size:{r.choice([0.8, 0.85, 0.9, 1])}em;text-align:{r.choice(['left', 'center', 'center', 'justify'])}"
        self.caption_bold = r.choice(["b", "b", "span", "i"])
        self.caption_end = r.choice([". ", ": ", " ", " – "])
        self.table_caption_above = r.random() < 0.75
        self.figure_caption_below = r.random() < 0.88
        self.caption_rate = r.choice([0.95, 0.95, 0.7, 0.3])
        self.note_rate = r.choice([0.2, 0.5, 0.8])

    # Text ---------------------------------------------------------------------------------------------------------

    def text(self, n: int) -> str:
        """About ``n`` words (two characters each where words are not spaced), escaped."""
        if self.cjk:
            n = max(1, round(n * 1.7))
            i = self.rng.randrange(len(self.source) - n - 2)
            return html.escape(self.source[i : i + n].strip("，。、；：？！）」") or "文本")
        i = self.rng.randrange(len(self.source) - n - 1)
        return html.escape(" ".join(self.source[i : i + n]))

    def phrase(self, low: int, high: int) -> str:
        """A heading's or cell's worth of words, no full stop."""
        t = self.text(self.rng.randint(low, high)).rstrip(".,;:-–— ").replace(". ", " ")
        return t[:1].upper() + t[1:]

    def prose(self, low: int, high: int) -> str:
        """Sentences, now and then with emphasis, a citation or inline mathematics."""
        t = self.text(self.rng.randint(low, high))
        t = t[:1].upper() + t[1:].rstrip(",;:")
        r = self.rng
        if not self.cjk and r.random() < 0.25:
            words = t.split(" ")
            for _ in range(max(1, len(words) // 25)):
                i = r.randrange(len(words))
                words[i] = r.choice([f"<i>{words[i]}</i>", f"<b>{words[i]}</b>", words[i] + f" [{r.randint(1, 60)}]",
                                     "<i>x</i><sub>i</sub> = <i>a</i> + 2<i>π</i>", words[i] + f" ({r.randint(1980, 2024)})",
                                     f"<sup>{r.randint(1, 9)}</sup>"])  # fmt: skip
            t = " ".join(words)
        return t + ("。" if self.cjk else r.choice([".", ".", ".", ":", ""]))

    def number(self) -> str:
        """A figure as tables have it."""
        r = self.rng
        return r.choice([f"{r.uniform(0, 100):.{r.randint(0, 3)}f}", f"{r.randint(0, 99999):,}", f"{r.uniform(0, 100):.1f} %",
                         f"{r.uniform(0, 9):.2f} ± {r.uniform(0, 1):.2f}", "–", str(r.randint(0, 50)), f"({r.randint(1, 999)})"])  # fmt: skip

    # Blocks -------------------------------------------------------------------------------------------------------

    def para(self, low: int = 15, high: int = 110, css: str = "") -> str:
        """A paragraph."""
        return (f'<p data-l="plain text" style="text-indent:{self.indent}em;margin:0 0 {self.gap}em;text-align:{self.align};'
                f'{css}">{self.prose(low, high)}</p>')  # fmt: skip

    def heading(self, level: int = 2, span: bool = False) -> str:
        """A heading, numbered as the page has it."""
        r = self.rng
        size = {1: r.uniform(1.5, 2.4), 2: r.uniform(1.1, 1.45), 3: r.uniform(1.0, 1.15)}[level]
        number = ""
        if self.numbered and level > 1 and r.random() < 0.9:
            number = {"1": f"{self.section} ", "1.1": f"{self.section}.{r.randint(1, 9)} ", "I": f"{'I' * (self.section % 3 + 1)}. ",
                      "第": f"第{'一二三四五六七八九'[self.section % 9]}{r.choice('章节')} "}[self.numbered]  # fmt: skip
            self.section += 1
        words = (3, 10) if level == 1 else (1, 7)
        top = r.uniform(0.4, 1.2)
        spanning = "column-span:all;" if span else ""
        return (f'<div data-l="title" {"data-span=1" if span else ""} style="{spanning}font-family:\'{self.style.heading_font}\',\'{self.style.font}\';'
                f'font-size:{size:.2f}em;line-height:1.2;margin:{top:.2f}em 0 {r.uniform(0.2, 0.7):.2f}em;break-after:avoid;{self.heading_css}">'
                f"{number}{self.phrase(*words)}</div>")  # fmt: skip

    def list(self, items: int | None = None, words: tuple[int, int] = (4, 30)) -> str:
        """A list; each item is a region of its own."""
        r = self.rng
        mark = r.choice(["•", "•", "–", "▪", "◦", "1.", "1)", "(a)", "[1]", "✓"])
        hang = r.choice([0, 1.3, 1.6, 2])
        left = r.choice([0, 0.5, 1, 2])
        gap = r.choice([0.15, 0.3, 0.5, 0.8])
        out = []
        for i in range(items or r.randint(2, 6)):
            m = mark.replace("1", str(i + 1)).replace("a", "abcdefghij"[i % 10])
            out.append(f'<div data-l="plain text" style="margin:0 0 {gap}em {left}em;padding-left:{hang}em;text-indent:-{hang}em;break-inside:avoid">'
                       f"{m} {self.prose(*words)}</div>")  # fmt: skip
        return f'<div style="margin:.3em 0 .6em">{"".join(out)}</div>'

    def code(self) -> str:
        """A listing: plain text."""
        r = self.rng
        lines = []
        for _ in range(r.randint(3, 14)):
            words = [w[:10] for w in self.text(r.randint(1, 6)).split()][:6]
            lines.append(" " * r.choice([0, 0, 2, 4, 8]) + r.choice(["{} = {}", "if {}: {}", "def {}({}):", "return {} {}", "$ {} --{}",
                         "# {} {}", "{}({});"]).format(words[0], "_".join(words[1:]) or "x")[:60])  # fmt: skip
        css = r.choice(
            [
                "",
                "background:#f2f2f2;padding:6px",
                "border:1px solid #aaa;padding:6px",
                "background:#22272e;color:#ddd;padding:8px",
            ]
        )
        return (f'<pre data-l="plain text" style="font-family:\'{self.style.mono}\';font-size:.82em;line-height:1.25;margin:.5em 0;'
                f'break-inside:avoid;white-space:pre-wrap;overflow-wrap:anywhere;{css}">' + "\n".join(lines) + "</pre>")  # fmt: skip

    def quote(self) -> str:
        """A paragraph set in."""
        css = self.rng.choice(
            ["font-style:italic", f"border-left:3px solid {self.style.accent};padding-left:8px", "font-size:.92em"]
        )
        return f'<p data-l="plain text" style="margin:.6em 2em;{css}">{self.prose(15, 60)}</p>'

    def box(self, inner: str) -> str:
        """A coloured or framed box around blocks."""
        css = self.rng.choice([f"background:{figures.colour(self.rng, (88, 95))}", "border:1px solid #666", "background:#eee",
                               f"border:2px solid {self.style.accent};border-radius:6px"])  # fmt: skip
        return f'<div style="{css};padding:{self.rng.randint(6, 14)}px;margin:.6em 0;break-inside:avoid">{inner}</div>'

    def caption(self, kind: str) -> str:
        """``figure_caption`` or ``table_caption``."""
        r = self.rng
        figure = kind == "figure_caption"
        word = (FIGURE if figure else TABLE).get(self.language, r.choice(["Figure", "Fig."]) if figure else "Table")
        no = self.figure_no if figure else self.table_no
        if figure:
            self.figure_no += 1
        else:
            self.table_no += 1
        number = r.choice([str(no), str(no), f"{self.section}.{no}", f"{self.section}-{no}"])
        lead = f"<{self.caption_bold}>{word} {number}{self.caption_end.rstrip()}</{self.caption_bold}> "
        if figure and r.random() < 0.07:  # a photograph's line
            lead = ""
        body = self.prose(3, 10) if r.random() < 0.55 else self.prose(10, 45)
        return f'<div data-l="{kind}" style="margin:.35em 0;{self.caption_css}">{lead}{body}</div>'

    def drawing(self, w: float, h: float) -> str:
        """Some picture filling ``w`` x ``h`` px."""
        r = self.rng
        if self.style.photos and r.random() < 0.4:
            return f'<img src="{r.choice(self.style.photos)}" style="width:100%;height:100%;display:block">'
        return r.choice(figures.DRAWINGS)(r, lambda n: self.text(n)[:24], max(90, w), max(60, h))

    def picture(self, width: str = "100%", height: float = 150, label: str = "figure", w: float = 300) -> str:
        """A figure's box alone, perhaps of several panels."""
        r = self.rng
        panels = r.choice([1, 1, 1, 1, 2, 2, 3]) if height > 100 else 1
        inner = "".join(
            f'<div style="flex:1;height:100%;min-width:0">{self.drawing(w / panels, height)}</div>'
            for _ in range(panels)
        )
        return f'<div data-l="{label}" data-box="el" style="display:flex;gap:{r.choice([2, 6, 10])}px;width:{width};height:{height:.0f}px;margin:0 auto;overflow:hidden">{inner}</div>'

    def figure(self, w: float = 320, span: bool = False) -> str:
        """A figure with its caption."""
        r = self.rng
        width = r.uniform(0.55, 1.0)
        pic = self.picture(f"{width * 100:.0f}%", min(r.uniform(0.35, 0.85) * w * width, 380), w=w * width)
        cap = self.caption("figure_caption") if r.random() < self.caption_rate else ""
        spanning = "column-span:all;" if span else ""
        body = pic + cap if self.figure_caption_below else cap + pic
        return (
            f'<div style="{spanning}break-inside:avoid;margin:.8em 0" class="float {"sp" if span else ""}">{body}</div>'
        )

    def table(
        self,
        rows: int | None = None,
        cols: int | None = None,
        words: int = 2,
        caption: bool | None = None,
        w: float = 320,
    ) -> str:
        """A table with caption and notes as the page has them."""
        r = self.rng
        cols = cols or r.randint(2, max(3, min(9, int(w / 75))))
        rows = rows or r.choice([r.randint(2, 7), r.randint(4, 14)])
        textual = r.random() < 0.25
        st = self.table_style if r.random() < 0.8 else r.choice(["full", "three", "rows", "zebra", "head"])
        header = [f"<th>{self.phrase(1, words)}</th>" for _ in range(cols)]
        out = ["<tr>" + "".join(header) + "</tr>"]
        if r.random() < 0.2 and cols > 3:
            k = r.randint(2, cols - 1)
            out.insert(
                0, f'<tr><th></th><th colspan="{k}">{self.phrase(1, 3)}</th>' + "<th></th>" * (cols - 1 - k) + "</tr>"
            )
        for i in range(rows):
            cells = [f"<td class=l>{self.phrase(1, words + 1)}</td>"]
            for j in range(1, cols):
                if textual and j == cols - 1:
                    cells.append(f"<td class=l>{self.phrase(3, 14)}</td>")
                elif r.random() < 0.05:
                    cells.append("<td></td>")
                else:
                    cells.append(f"<td>{self.number() if r.random() < 0.85 else self.phrase(1, 2)}</td>")
            if st == "full" and r.random() < 0.08 and i < rows - 1:
                cells = [f'<td class=l colspan="{cols}">{self.phrase(1, 4)}</td>']
            out.append("<tr>" + "".join(cells) + "</tr>")
        width = r.choice(["auto", "100%", "100%", "80%"])
        size = r.choice([0.75, 0.8, 0.85, 0.9])
        pad = r.choice([1, 2, 3, 5])
        table = (f'<table class="{st}" data-l="table" data-box="el" style="--p:{pad}px;--a:{self.style.accent};font-size:{size}em;width:{width};'
                 f'text-align:{r.choice(["center", "right", "left"])}">{"".join(out)}</table>')  # fmt: skip
        has = r.random() < self.caption_rate if caption is None else caption
        cap = self.caption("table_caption") if has else ""
        foot = ""
        if r.random() < self.note_rate:
            note = r.choice(
                [
                    "* ",
                    "<sup>a</sup> ",
                    NOTE.get(self.language, "Note: "),
                    NOTE.get(self.language, "Source: "),
                    "† ",
                    "",
                ]
            )
            foot = f'<div data-l="table_footnote" style="font-size:{size * 0.92:.2f}em;margin:.25em 0;text-align:left">{note}{self.prose(4, 30)}</div>'
        parts = (
            [cap, table, foot] if self.table_caption_above else [table, foot, cap] if r.random() < 0.5 else [table, cap]
        )
        return f'<div style="break-inside:avoid;margin:.8em 0" class="float">{"".join(parts)}</div>'

    def tex(self, depth: int = 0) -> str:
        """A random formula."""
        r = self.rng

        def v() -> str:
            s = r.choice([*"abcfghknpqtuvwxyzABCDEFGHKLMNPQRSTVX", *GREEK])
            if r.random() < 0.3:
                s += f"_{{{r.choice(['i', 'j', 'k', '0', '1', 'n', 'ij', 'max', 't-1'])}}}"
            if r.random() < 0.15:
                s += f"^{{{r.choice(['2', 'n', '-1', 'T', '*'])}}}"
            if r.random() < 0.1:
                s = rf"\{r.choice(['hat', 'bar', 'tilde', 'vec', 'dot'])}{{{s}}}"
            return s

        def term(d: int) -> str:
            k = r.random()
            if d > 1 or k < 0.35:
                return v()
            if k < 0.5:
                return rf"\frac{{{expr(d + 1)}}}{{{expr(d + 1)}}}"
            if k < 0.6:
                return rf"\sum_{{{v()}=1}}^{{{v()}}} {term(d + 1)}"
            if k < 0.68:
                return rf"\int_{{{v()}}}^{{\infty}} {term(d + 1)}\,d{r.choice('xyt')}"
            if k < 0.76:
                return rf"\sqrt{{{expr(d + 1)}}}"
            if k < 0.84:
                return rf"\{r.choice(['sin', 'cos', 'exp', 'log', 'max', 'min'])}\left({expr(d + 1)}\right)"
            if k < 0.9:
                return rf"\left[{expr(d + 1)}\right]^{{{v()}}}"
            return rf"\partial_{{{r.choice('xyt')}}} {v()}"

        def expr(d: int) -> str:
            n = r.randint(1, 3 if d else 5)
            return "".join((r.choice(["+", "-", r"\cdot ", " "]) if i else "") + term(d) for i in range(n))

        k = r.random()
        if k < 0.1:
            n = r.randint(2, 4)
            m = r"\\".join("&".join(v() for _ in range(n)) for _ in range(n))
            return rf"{v()} = \begin{{pmatrix}} {m} \end{{pmatrix}}"
        if k < 0.25:
            lines = r"\\ ".join(f"{v()} &= {expr(1)}" for _ in range(r.randint(2, 4)))
            return rf"\begin{{aligned}} {lines} \end{{aligned}}"
        if k < 0.32:
            return rf"{v()} = \begin{{cases}} {expr(1)}, & {v()} > 0 \\ {expr(1)}, & \text{{otherwise}} \end{{cases}}"
        relation = r.choice(["=", "=", "=", r"\le", r"\approx", ":="])
        return f"{expr(1) if r.random() < 0.3 else v()} {relation} {expr(0)}"

    def formula(self) -> str:
        """A displayed formula, with or without its number."""
        r = self.rng
        number = ""
        if r.random() < 0.65:
            n = r.choice(
                [
                    f"({self.formula_no})",
                    f"({self.formula_no})",
                    f"({self.section}.{self.formula_no})",
                    f"({self.formula_no}{r.choice('ab')})",
                ]
            )
            self.formula_no += 1
            side = "left:0" if r.random() < 0.08 else "right:0"
            number = f'<span data-l="formula_caption" style="position:absolute;{side}">{n}</span>'
        align = r.choice(["center", "center", "center", "flex-start;padding-left:2em"])
        tex = html.escape(self.tex(), quote=True)
        return (f'<div style="display:flex;position:relative;align-items:center;justify-content:{align};margin:.6em 0;break-inside:avoid" class="eqrow">'
                f'<span class="tex" data-l="isolate_formula" data-tex="{tex}"></span>{number}</div>')  # fmt: skip

    def footnotes(self, css: str = "") -> str:
        """Footnotes under a short rule: abandon, one region each."""
        r = self.rng
        notes = "".join(
            f'<div data-l="abandon" style="margin:0 0 .2em"><sup>{r.choice([i + 1, "∗", "†"])}</sup> {self.prose(5, 28)}</div>'
            for i in range(r.randint(1, 3))
        )
        return f'<div style="font-size:.78em;line-height:1.2;{css}"><div style="width:30%;border-top:1px solid #333;margin-bottom:3px"></div>{notes}</div>'

    def authors(self) -> str:
        """Names, places and addresses: plain text."""
        r = self.rng
        names = ", ".join(f"{self.phrase(1, 1)} {self.phrase(1, 1)}" for _ in range(r.randint(1, 5)))
        place = "<br>".join(
            f"{r.choice(['<sup>1</sup>', '<sup>2</sup>', ''])}{self.phrase(4, 9)}" for _ in range(r.randint(1, 2))
        )
        return (f'<div data-l="plain text" style="text-align:center;margin:.3em 0">{names}</div>'
                f'<div data-l="plain text" style="text-align:center;font-size:.85em;margin:.4em 0 .8em">{place}</div>')  # fmt: skip

    def references(self, n: int) -> str:
        """A bibliography; each entry is plain text."""
        r = self.rng
        mark = r.choice(["[{}]", "{}.", ""])
        return "".join(
            f'<div data-l="plain text" style="font-size:.85em;line-height:1.2;padding-left:1.8em;text-indent:-1.8em;margin:0 0 {0.35}em;break-inside:avoid">'
            f"{mark.format(i + 1)} {self.phrase(1, 1)}, {r.choice('ABCDEFG')}. {self.phrase(4, 12)}. <i>{self.phrase(2, 4)}</i> {r.randint(1, 90)}, {r.randint(1, 400)}–{r.randint(401, 900)} ({r.randint(1970, 2024)}).</div>"
            for i in range(n)
        )  # fmt: skip

    def pairs(self, n: int | None = None) -> str:
        """Keys and values line by line: one plain text block."""
        r = self.rng
        sep = r.choice([": ", ": ", " "])
        bold = r.choice(["b", "span"])
        lines = [
            f"<{bold}>{self.phrase(1, 2)}{sep}</{bold}>{r.choice([self.number(), self.phrase(1, 3), f'{r.randint(1, 28)}.{r.randint(1, 12)}.{r.randint(2000, 2026)}'])}"
            for _ in range(n or r.randint(2, 6))
        ]
        return f'<div data-l="plain text" style="line-height:{r.choice([1.2, 1.4, 1.5])}">{"<br>".join(lines)}</div>'

    def address(self) -> str:
        """An address block: plain text."""
        r = self.rng
        lines = [
            self.phrase(1, 2),
            self.phrase(2, 3),
            f"{self.phrase(1, 2)} {r.randint(1, 200)}",
            f"{r.randint(10000, 99999)} {self.phrase(1, 1)}",
        ]
        if r.random() < 0.4:
            lines.insert(0, f"<b>{self.phrase(1, 2)}</b>")
        return f'<div data-l="plain text" style="line-height:{r.choice([1.2, 1.35, 1.5])}">{"<br>".join(lines[: r.randint(3, 5)])}</div>'

    def flow(self, n: int, w: float, weights: dict[str, float]) -> str:
        """``n`` blocks drawn by weight: p, h, h3, list, table, figure, formula, code, quote, box, refs."""
        kinds, probabilities = list(weights), list(weights.values())
        out, last = [], ""
        for _ in range(n):
            k = self.rng.choices(kinds, probabilities)[0]
            if k == last and k in ("h", "h3"):
                k = "p"
            last = k
            out.append(self.block(k, w))
            if k == "formula" and self.rng.random() < 0.7:
                out.append(self.para(5, 50, "text-indent:0;"))
        return "".join(out)

    def block(self, kind: str, w: float) -> str:
        """One block for a column ``w`` px wide."""
        match kind:
            case "h":
                return self.heading(2)
            case "h3":
                return self.heading(3)
            case "list":
                return self.list()
            case "table":
                return self.table(w=w)
            case "figure":
                return self.figure(w)
            case "formula":
                return self.formula()
            case "code":
                return self.code()
            case "quote":
                return self.quote()
            case "box":
                return self.box(
                    (self.heading(3) if self.rng.random() < 0.6 else "")
                    + self.para(15, 60)
                    + (self.list(3, (3, 12)) if self.rng.random() < 0.3 else "")
                )
            case "refs":
                return self.references(self.rng.randint(3, 12))
            case "short":
                return self.para(3, 14)
        return self.para()
