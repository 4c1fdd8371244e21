"""Text of a PDF that becomes nothing active in the output: no scripts, and links to the web and mail only.

Tables are HTML, and Markdown lets HTML and links through, so a page's text could turn into either. docvortex escapes
the common cases and cleans its HTML output; the rest is done here.
"""

from __future__ import annotations

import html
import re
from typing import Any

from mineru.types import MiddleJson

from ..document import Block
from ..storage.clean_text import clean, clean_references

_WEB = re.compile(r"^\s*(?:https?://|ftp://|mailto:|tel:|#)", re.IGNORECASE)

_TAGS = frozenset(
    {
        *(
            "table",
            "thead",
            "tbody",
            "tfoot",
            "tr",
            "th",
            "td",
            "caption",
            "colgroup",
            "col",
            "p",
            "br",
            "ul",
            "ol",
            "li",
        ),
        *("b", "strong", "i", "em", "u", "s", "sub", "sup", "span", "code", "pre", "eq"),
    }
)
_PLAIN_TAG = re.compile(
    r"</?(?:" + "|".join(sorted(_TAGS)) + r""")(?:\s+(?:row|col)span=(?:"\d+"|'\d+'|\d+))*\s*/?>""", re.IGNORECASE
)

# What docvortex's Markdown escapes by itself (render/_internal/markdown/inline.py).
_ESCAPED = re.compile(r"</?[A-Za-z][^<>\n]*>|<!--.*?-->|<![A-Za-z][^<>\n]*>|<\?[^<>\n]*\?>")
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"(?<=\])(?=\()")
_DEFINITION = re.compile(r"^(\s*\[[^\]]*\])(?=:)", re.MULTILINE)
_DESTINATION = re.compile(r"^(?=\(\s*<?\s*(?:javascript|vbscript|data|file|\w*&))", re.IGNORECASE)
_BACKSLASH = re.compile(r"\\(?=[!\"'()*+,\-./:;<=>?@\[\\\]^`|~]|\Z)")
"""A backslash that Markdown takes for an escape, or that ends the text; LaTeX's (``\\$``, ``\\_``) are left to it."""
_EMPHASIS = re.compile(r"(?=[*_`~$])")
_LINE = re.compile(r"^(?=>|(?:#{1,6}|[+-])\s*$)")
_FORMULA_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_EQ = re.compile(r"<eq>(.*?)</eq>", re.IGNORECASE | re.DOTALL)


def deactivate_blocks(blocks: list[Block]) -> list[Block]:
    """Clean raw blocks, in place: their tables hold nothing but a table, their links lead to the web."""
    for block in blocks:
        content = block.get("content")
        if isinstance(content, str) and block["type"] in ("table", "image", "chart"):
            block["content"] = clean_html(content)
        elif isinstance(content, list):
            block["content"] = _safe_spans(content)
        for name in ("image_url", "image_base64"):
            if not str(block.get(name) or "data:image/").startswith("data:image/"):
                del block[name]
    return blocks


def clean_html(markup: str) -> str:
    """HTML with the tags of tables and their text only. Clean HTML comes back unchanged."""
    markup = clean_references(markup)
    if "<" in _PLAIN_TAG.sub("", markup):
        import nh3

        markup = nh3.clean(
            re.sub(r"<(/?)eq\s*>", r"<\1kbd>", markup, flags=re.IGNORECASE),  # nh3 takes eq for something else
            tags=set(_TAGS - {"eq"} | {"kbd"}),
            attributes={"td": {"rowspan", "colspan"}, "th": {"rowspan", "colspan"}},
            link_rel=None,
        )
        markup = re.sub(r"<(/?)kbd>", r"<\1eq>", markup)
    return _EQ.sub(_clean_formula, markup)


def _clean_formula(match: re.Match[str]) -> str:
    """LaTeX in HTML, which the renderers unescape, more than once: no tag may come of it."""
    latex = match[1]
    while (plainer := html.unescape(latex)) != latex:
        latex = plainer
    if not _FORMULA_TAG.search(latex) and clean(latex) == latex:
        return match[0]
    return f"<eq>{html.escape(_FORMULA_TAG.sub('< ', clean(latex)), quote=False)}</eq>"


def is_web_link(url: str) -> bool:
    """Whether a link leads to the web, mail, a telephone number, or a place in the document."""
    return bool(_WEB.match(url))


def _safe_spans(spans: list[Any]) -> list[Any]:
    out: list[Any] = []
    for span in spans:
        if isinstance(span, dict) and isinstance(span.get("content"), list):
            inner = _safe_spans(span["content"])
            if "url" in span and not is_web_link(str(span["url"])):
                out.extend(inner)
                continue
            span = {**span, "content": inner}
        out.append(span)
    return out


def escape_document(middle: MiddleJson) -> MiddleJson:
    """The document for Markdown: text that would be read as a tag or a link is escaped."""
    payload = middle.model_dump(mode="python", exclude_unset=True)  # nested blocks refuse fields that are merely set
    if not _escape_spans(payload["pages"]):
        return middle
    return type(middle).model_validate(payload)


def _escape_spans(value: Any) -> bool:
    """Escape text spans and formulas in place, at any depth; whether anything was changed."""
    if isinstance(value, list):
        return sum(_escape_spans(item) for item in value) > 0  # not any(): every item must be escaped
    if not isinstance(value, dict):
        return False
    content = value.get("content")
    if not isinstance(content, str):
        return sum(_escape_spans(item) for item in value.values()) > 0
    if value.get("type") == "text":
        escaped = escape_markdown(content)
    elif value.get("type") in ("equation", "equation_inline"):
        escaped = _FORMULA_TAG.sub("< ", content)
    elif value.get("type") in ("table_body", "image_body", "chart_body"):
        escaped = _LINK.sub(" ", content)
    else:
        return False
    value["content"] = escaped
    return escaped != content


def escape_markdown(text: str) -> str:
    r"""Text that stays text in Markdown: ``[a](b)`` becomes ``[a]\(b)``, and ``<`` that opens a tag ``\<``.

    What docvortex escapes by itself is left to it. It takes a backslash for an escape, though, and its escapes don't
    reach into what looks like a tag, nor to ``>`` at the start of a line and to marks that are a line of their own.
    """
    text = _BACKSLASH.sub(r"\\\\", text)
    out, start = [], 0
    for match in _ESCAPED.finditer(text):
        out += [_TAG_START.sub(r"\\<", text[start : match.start()]), _EMPHASIS.sub(r"\\", match[0])]
        start = match.end()
    out.append(_TAG_START.sub(r"\\<", text[start:]))
    text = _LINK.sub(r"\\", "".join(out))
    return _DESTINATION.sub(r"\\", _LINE.sub(r"\\", _DEFINITION.sub(r"\1\\", text)))
