"""Breaks marked-up text into lines: words, soft hyphens, and CJK text with its forbidden line starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reportlab.pdfbase.pdfmetrics import stringWidth

from .inline import SHY, Span, parse

LIGATURES = (("ffi", "ﬃ"), ("ffl", "ﬄ"), ("fi", "ﬁ"), ("fl", "ﬂ"))
NOT_AT_START = "，。、；：！？）》”’」』】,.;:!?)%"
NOT_AT_END = "（《“‘「『【("


@dataclass(frozen=True)
class Style:
    """How a paragraph looks. Sizes in points; ``align``: left, justify, center or right."""

    font: str = "Serif"
    size: float = 10.0
    leading: float = 12.0
    align: str = "left"
    indent: float = 0.0
    color: str = "#000000"
    bold: bool = False
    italic: bool = False
    ligatures: bool = False
    spaces: bool = True
    """Draw the spaces between words (TeX does not)."""
    latin: str | None = None
    """Font for Latin text within CJK text."""

    def but(self, **changes: object) -> Style:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass
class Piece:
    """A run of one font on a line; ``x`` from the line's start, ``rise`` in points."""

    text: str
    font: str
    size: float
    width: float
    x: float = 0.0
    rise: float = 0.0
    link: str | None = None


@dataclass
class Line:
    """One line: its pieces placed, its extent, and its plain text (without the hyphen of a broken word)."""

    pieces: list[Piece]
    x: float
    width: float
    text: str
    hyphenated: bool = False
    glued: bool = False
    """The next line goes on without a space: a broken word, or CJK text."""


@dataclass
class _Atom:
    """The smallest unit that is not broken; ``after`` says what follows it."""

    pieces: list[Piece]
    after: str  # " " = a space, SHY = may be hyphenated here, "" = may break here without a hyphen, "+" = never

    @property
    def width(self) -> float:
        return sum(p.width for p in self.pieces)

    @property
    def text(self) -> str:
        return "".join(p.text for p in self.pieces)


def is_cjk(char: str) -> bool:
    """True for Chinese characters and full-width punctuation."""
    return "\u2e80" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef" or char in "“”‘’—…·"


def _font(style: Style, span: Span, cjk: bool) -> str:
    family = style.font if cjk or style.latin is None else style.latin
    bold, italic = style.bold or span.bold, style.italic != span.italic
    if family in ("Song", "Hei"):
        return "Hei" if bold else family
    suffix = ("B" if bold else "") + ("I" if italic else "")
    return f"{family}-{suffix}" if suffix else family


def _atoms(spans: list[Span], style: Style) -> list[_Atom]:
    atoms: list[_Atom] = []
    current: list[Piece] = []

    def close(after: str) -> None:
        nonlocal current
        if current:
            atoms.append(_Atom(current, after))
        elif after == " " and atoms:
            atoms[-1].after = " "
        current = []

    for span, run in _runs(spans, style):
        cjk = style.latin is not None and is_cjk(run[0])
        if run == " ":
            close(" ")
        elif run == SHY:
            close(SHY)
        else:
            if style.ligatures:
                for plain, ligature in LIGATURES[2:]:
                    run = run.replace(plain, ligature)
            font, size = _font(style, span, cjk or style.latin is None), style.size * span.scale
            piece = Piece(run, font, size, stringWidth(run, font, size), 0.0, span.rise * style.size, span.link)
            if cjk:
                close_before = not (run in NOT_AT_START or (atoms and not current and atoms[-1].text[-1] in NOT_AT_END))
                if current:
                    close("" if close_before else "+")
                elif atoms and atoms[-1].after == "" and not close_before:
                    atoms[-1].after = "+"
                current = [piece]
                close("")
            else:
                current.append(piece)
    close("")
    return atoms


def _runs(spans: list[Span], style: Style) -> Iterator[tuple[Span, str]]:
    for span in spans:
        word = ""
        for char in span.text:
            if char in (" ", SHY) or (style.latin is not None and is_cjk(char)):
                if word:
                    yield span, word
                word = ""
                yield span, char
            else:
                word += char
        if word:
            yield span, word


def lines_of(markup: str, style: Style, width: float) -> list[Line]:
    """Break ``markup`` into lines of at most ``width`` points.

    Greedy, first fit. Justified lines are stretched at their spaces (CJK: between characters),
    except the last.
    """
    lines: list[Line] = []
    for part in markup.split("\n"):
        lines += _fill(_atoms(parse(part), style), style, width)
        lines[-1].glued = False
    return lines


def _fill(atoms: list[_Atom], style: Style, width: float) -> list[Line]:
    space = stringWidth(" ", _font(style, Span(" "), style.latin is None), style.size)
    hyphen = stringWidth("-", _font(style, Span(" "), True), style.size)
    lines: list[Line] = []
    start = 0
    while start < len(atoms):
        room = width - (style.indent if not lines else 0.0)
        used, end, best = 0.0, start, start
        while end < len(atoms):
            used += atoms[end].width
            if used + (hyphen if atoms[end].after == SHY else 0.0) <= room + 0.01 and atoms[end].after != "+":
                best = end + 1
            if used > room + 0.01:
                break
            used += space if atoms[end].after == " " else 0.0
            end += 1
        best = max(best, start + 1)
        lines.append(_place(atoms[start:best], style, room, width, space, best == len(atoms), not lines))
        start = best
    return lines


def _place(atoms: list[_Atom], style: Style, room: float, width: float, space: float, last: bool, first: bool) -> Line:
    hyphenated = atoms[-1].after == SHY and not last
    pieces: list[Piece] = []
    text = ""
    natural = sum(a.width for a in atoms) + space * sum(a.after == " " for a in atoms[:-1])
    gaps = sum(a.after == " " for a in atoms[:-1])
    loose = [a.after in ("", "+") for a in atoms[:-1]]
    stretch = spread = 0.0
    if hyphenated:
        tail = atoms[-1].pieces[-1]
        atoms[-1].pieces.append(
            Piece("-", tail.font, tail.size, stringWidth("-", tail.font, tail.size), rise=tail.rise)
        )
        natural += atoms[-1].pieces[-1].width
    if style.align == "justify" and not last:
        if style.latin is not None and any(loose):
            spread = (room - natural) / (sum(loose) + gaps)
            stretch = spread
        elif gaps:
            stretch = (room - natural) / gaps
    x = 0.0
    for number, atom in enumerate(atoms):
        for piece in atom.pieces:
            piece.x = x
            x += piece.width
            pieces.append(piece)
        text += atom.text
        if number < len(atoms) - 1:
            if atom.after == " ":
                if style.spaces:
                    atom.pieces[-1].text += " "
                text += " "
                x += space + stretch
            elif atom.after in ("", "+"):
                x += spread
    if hyphenated:
        text = text[:-1]
    shift = {"center": (room - x) / 2, "right": room - x}.get(style.align, width - room if first else 0.0)
    for plain, ligature in LIGATURES:
        text = text.replace(ligature, plain)
    return Line(pieces, shift, x, text, hyphenated, glued=hyphenated or atoms[-1].after == "")


def text_of(lines: Sequence[Line]) -> str:
    """Plain text of some lines, broken words joined again."""
    return "".join(line.text + ("" if line.glued else " ") for line in lines).strip()
