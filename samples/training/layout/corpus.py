"""Words for synthetic pages: real vocabulary in nine languages from Debian's manual pages and DocBank's papers.

``python corpus.py MAN_DIR DOCBANK_DIR OUT.json``; MAN_DIR holds ``usr/share/man`` of the manpages-* packages.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from pathlib import Path

LANGUAGES = {"en": "", "fr": "fr", "de": "de", "es": "es", "pt": "pt_BR", "ru": "ru", "ja": "ja", "zh": "zh_CN",
             "tw": "zh_TW"}  # fmt: skip
CJK = ("zh", "tw", "ja")
LIMIT = 600_000  # characters a language


def plain(roff: str) -> str:
    """Text of a manual page: macros and escapes taken out."""
    lines = [line for line in roff.splitlines() if not line.startswith((".", "'"))]
    text = " ".join(lines)
    text = re.sub(r"\\f(\[[^]]*\]|\(..|.)", "", text)
    text = re.sub(r"\\\(..|\\\[[^]]*\]|\\\*\(?..|\\[&|^%/,cd]", "", text)
    text = re.sub(r"\\[a-z]?", "", text.replace("\\-", "-"))
    return re.sub(r"\s+", " ", text)


def keep(word: str, language: str) -> bool:
    """Whether a word looks like prose rather than code."""
    if not 0 < len(word) < 22 or re.search(r"[<>{}|=_\\#@$~^*/\[\]]", word) or "--" in word:
        return False
    return language != "ru" or bool(re.search(r"[а-я0-9]", word))


def man_text(folder: Path, language: str, rng: random.Random) -> str:
    """Up to LIMIT characters of one language."""
    files = sorted(folder.glob("man[1-8]/*.gz"))
    rng.shuffle(files)
    out, size = [], 0
    for file in files:
        if size > LIMIT:
            break
        try:
            text = plain(gzip.decompress(file.read_bytes()).decode("utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        if language in CJK:
            runs = re.findall(r"[぀-ヿ㐀-鿿，。、；：？！（）「」0-9A-Za-z ]{12,}", text)
            text = "".join(r.strip() for r in runs if sum("぀" <= c <= "鿿" for c in r) > 0.7 * len(r))
            text = re.sub(r"\s+", "", text)
        else:
            text = " ".join(w for w in text.split() if keep(w, language))
        out.append(text)
        size += len(text)
    return ("" if language in CJK else " ").join(out)[:LIMIT]


def docbank_text(folder: Path, rng: random.Random) -> str:
    """English prose of scientific papers."""
    import pypdfium2 as pdfium

    out: list[str] = []
    files = sorted(folder.glob("*.pdf"))
    rng.shuffle(files)
    for file in files:
        document = pdfium.PdfDocument(file)
        for i in range(min(len(document), 12)):
            text = document[i].get_textpage().get_text_bounded().replace("￾", "").replace("-\r\n", "")
            out += [w for w in text.split() if w.isascii() and re.fullmatch(r"[A-Za-z][A-Za-z'-]*[.,;:]?", w)]
        if len(out) > LIMIT // 4:
            break
    return " ".join(out)


def main() -> None:
    """Write ``{language: text}``."""
    man, docbank, target = (Path(a) for a in sys.argv[1:4])
    rng = random.Random(1)
    corpus = {k: man_text(man / "usr/share/man" / sub, k, rng) for k, sub in LANGUAGES.items() if k != "en"}
    corpus["en"] = docbank_text(docbank, rng) + " " + man_text(man / "usr/share/man", "en", rng)[: LIMIT // 3]
    target.write_text(json.dumps(corpus, ensure_ascii=False), "utf-8")
    print({k: len(v) for k, v in corpus.items()})


if __name__ == "__main__":
    main()
