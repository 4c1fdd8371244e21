"""The account of a page's words: each word that the page shows is in one of its blocks, or is named with the reason.

Words are compared by their letters and digits alone, without case, accents and punctuation: while lines are joined,
hyphens at their ends are mended and ligatures opened, which is no loss. They are matched by place: a word counts only
in a block whose box holds it, or nearly so.
"""

from __future__ import annotations

import html
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..document import BBox, Block, Source
from ..pdf.docvortex.pages import TextLine
from .geometry import box_area, centre, holds, rounded, scaled, union
from .text.inline_styles import plain_text
from .types import PageBlock, Reason, SeenWord

_NEAR = 3.0
"""Points by which a word may stand outside the box of the block that has it: boxes are rounded, and cut lines."""
_TAG = re.compile(r"<[^>]*>")
_FURNITURE = frozenset({"header", "footer", "page_number", "aside_text", "page_footnote"})
_PICTURES = frozenset({"image", "chart"})
_MAX_NAMED = 1000
"""Maximum words of a page that the report names one by one: a map's labels are no text to be read."""
_MAX_QUOTED = 8
_DOTLESS = str.maketrans("ıȷ", "ij")


@dataclass(slots=True)
class WordAccount:
    """What became of the words of a page."""

    seen: int = 0
    written: int = 0
    """Words in blocks of the page's content."""
    furniture: int = 0
    """Words in running heads, feet, page numbers and notes."""
    left_out: list[tuple[SeenWord, Reason]] = field(default_factory=list)
    missing: list[SeenWord] = field(default_factory=list)
    lost: list[SeenWord] = field(default_factory=list)
    """Those of the missing words that are nowhere, not even in another form in the block at their place."""
    invented: list[str] = field(default_factory=list)
    """Words, as compared, that blocks have more often than the page."""

    def warning(self) -> str | None:
        """A line that quotes what is missing or invented; None where nothing is."""
        parts = []
        if self.missing:
            parts.append(
                f"{len(self.missing)} word(s) of the page are in no block: {_quoted(w.text for w in self.missing)}"
            )
        if self.invented:
            parts.append(f"{len(self.invented)} word(s) are written more often than shown: {_quoted(self.invented)}")
        return "; ".join(parts) or None

    def as_dict(self, size: tuple[float, float]) -> dict[str, Any]:
        """For the report: the counts, and each word that is left out or missing with its bbox in fractions of the page.

        Args:
            size: of the page in points.
        """
        x, y = 1 / size[0], 1 / size[1]
        named = [(word, str(reason)) for word, reason in self.left_out] + [(word, "missing") for word in self.missing]
        return {
            "seen": self.seen,
            "written": self.written,
            "furniture": self.furniture,
            "left_out": dict(Counter(str(reason) for _, reason in self.left_out)),
            "missing": len(self.missing),
            "invented": len(self.invented),
            "words": [
                {"text": word.text, "bbox": rounded(scaled(word.bbox, x, y)), "reason": reason}
                for word, reason in named[:_MAX_NAMED]
            ],
        }


@dataclass(slots=True)
class _Written:
    """The words of a block that no word of the page was found for yet."""

    block: PageBlock
    box: BBox
    words: list[str]
    """In the order in which they are read."""
    waiting: Counter[str] = field(default_factory=Counter)
    joined: str = ""
    """Those left after whole words were matched, in one piece; letters that were matched since are NUL."""
    starts: list[tuple[int, int]] = field(default_factory=list)
    """Where each of these words begins and ends in ``joined``."""

    def take(self, letters: str) -> bool:
        """Take a word, or a part of one, from what is left; False if it is not there."""
        if self.waiting[letters] > 0:
            self.waiting[letters] -= 1
            return True
        return False

    def join(self) -> None:
        """Go over from whole words to pieces: those of words that one side has in two."""
        place, pieces = 0, []
        for word in self.words:
            if self.waiting[word] <= 0:
                continue
            self.waiting[word] -= 1
            pieces.append(word)
            self.starts.append((place, place + len(word)))
            place += len(word)
        self.joined = "".join(pieces)

    def take_piece(self, letters: str) -> bool:
        """As :meth:`take`, for pieces."""
        at = self.joined.find(letters)
        if at < 0:
            return False
        self.joined = self.joined[:at] + "\0" * len(letters) + self.joined[at + len(letters) :]
        return True

    def left(self) -> Iterator[str]:
        """Words of which most letters were not found on the page."""
        for start, end in self.starts:
            rest = self.joined[start:end].replace("\0", "")
            if 2 * len(rest) > end - start:
                yield rest


@lru_cache(maxsize=8192)
def letters_of(text: str) -> str:
    """Letters and digits of a word, without case, accents, ligatures and forms."""
    if text.isascii():
        return text.lower() if text.isalnum() else "".join(c for c in text.lower() if c.isalnum())
    plain = unicodedata.normalize("NFKD", text.translate(_DOTLESS)).casefold()
    return "".join(c for c in plain if c.isalnum() and unicodedata.category(c) != "Lm")  # accents of their own


def seen_words(lines: Iterable[TextLine]) -> list[SeenWord]:
    """The words of a text layer, parted by spaces and leader dots; those without letters and digits are none."""
    words: list[SeenWord] = []
    for line in lines:
        start = 0
        chars = line.chars
        for end in range(len(chars) + 1):
            if end < len(chars) and not (chars[end]["char"].isspace() or "is_leader" in chars[end]):
                continue
            if end > start:
                text = "".join(char["char"] for char in chars[start:end])
                if letters := letters_of(text):
                    words.append(SeenWord(text, letters, union([char["bbox"] for char in chars[start:end]])))
            start = end + 1
    return words


def match_words(seen: Sequence[SeenWord], blocks: Sequence[PageBlock], size: tuple[float, float]) -> WordAccount:
    """Match the words that a page shows with those of its blocks.

    Args:
        blocks: with their content and unit bboxes.
        size: of the page in points.
    """
    account = WordAccount(len(seen))
    written = [_of_block(block, size) for block in blocks]
    written.sort(key=lambda one: box_area(one.box))  # a word belongs to the smallest box that holds it
    places = {id(word): _place(word, size) for word in seen}
    waiting = [word for word in seen if not _matched(word, places[id(word)], written, 0.0, account, _Written.take)]
    waiting = [word for word in waiting if not _matched(word, places[id(word)], written, _NEAR, account, _Written.take)]
    for one in written:
        one.join()
    for reach in (0.0, _NEAR):
        take = _Written.take_piece
        waiting = [word for word in waiting if not _matched(word, places[id(word)], written, reach, account, take)]
    missing: list[tuple[SeenWord, _Written | None]] = []
    for word in waiting:
        owner = next((one for one in written if holds(one.box, *places[id(word)])), None)
        reason = _reason(owner.block) if owner else None
        if reason is not None:
            account.left_out.append((word, reason))
        else:
            missing.append((word, owner))
    account.missing = [word for word, _ in missing]
    account.lost = _lost(missing, Counter(word for one in written for word in one.left()))
    for one in written:
        if one.block.source not in (Source.OCR, Source.VLM, Source.FALLBACK):
            account.invented += one.left()
    return account


def _lost(missing: Sequence[tuple[SeenWord, _Written | None]], left: Counter[str]) -> list[SeenWord]:
    """Missing words that are nowhere: no block has them at another place, and words that the block at their place has
    left are too few to be theirs.

    Args:
        left: words of all blocks that no word of the page was found for.
    """
    gone = [(word, owner) for word, owner in missing if not left[word.letters]]
    letters: Counter[int] = Counter()
    for word, owner in gone:
        letters[id(owner)] += len(word.letters)
    spare = {id(owner): sum(map(len, owner.left())) for _, owner in gone if owner}
    return [word for word, owner in gone if 2 * spare.get(id(owner), 0) < letters[id(owner)]]


def _of_block(block: PageBlock, size: tuple[float, float]) -> _Written:
    boxes = [block.raw["bbox"], *(line["bbox"] for line in block.raw.get("lines") or ())]
    words = list(_words_of(block))
    return _Written(block, scaled(union(boxes), *size), words, Counter(words))


def _place(word: SeenWord, size: tuple[float, float]) -> tuple[float, float]:
    """The middle of a word; of one beyond the page's edge the nearest point of the page, as blocks end there."""
    x, y = centre(word.bbox)
    return min(max(x, 0.0), size[0]), min(max(y, 0.0), size[1])


def _matched(
    word: SeenWord,
    place: tuple[float, float],
    written: list[_Written],
    reach: float,
    account: WordAccount,
    take: Callable[[_Written, str], bool],
) -> bool:
    """Whether a block whose box, widened by ``reach`` points, holds the word has it; then it is counted."""
    x, y = place
    for one in written:
        x0, y0, x1, y1 = one.box
        if x0 - reach <= x <= x1 + reach and y0 - reach <= y <= y1 + reach and take(one, word.letters):
            if one.block.raw["type"] in _FURNITURE:
                account.furniture += 1
            else:
                account.written += 1
            return True
    return False


def _reason(block: PageBlock) -> Reason | None:
    if block.source is Source.OCR:
        return Reason.BY_OCR
    if block.source in (Source.VLM, Source.FALLBACK):
        return Reason.BY_VLM
    formula = block.raw["type"] == "equation" and block.source is Source.IMAGE
    return Reason.IN_FIGURE if formula or block.raw["type"] in _PICTURES else None


def _words_of(block: PageBlock) -> Iterator[str]:
    text = f"{_text_of(block.raw)} {block.formula_text}"
    return filter(None, map(letters_of, text.split()))


def _quoted(words: Iterable[str]) -> str:
    """The first words of a list, in quotes."""
    some = list(itertools.islice(words, _MAX_QUOTED + 1))
    return ", ".join(f'"{word}"' for word in some[:_MAX_QUOTED]) + (", ..." if len(some) > _MAX_QUOTED else "")


def _text_of(raw: Block) -> str:
    """A block's text without markup."""
    if raw["type"] == "table":
        return html.unescape(_TAG.sub(" ", str(raw.get("content") or "")))
    return plain_text(raw)
