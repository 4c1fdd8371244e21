"""Who reads a region: the text layer, the VLM, OCR, or nobody. The tables here are the whole rule."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from ..document import Source
from ..layout.classes import Label
from ..options import Backend, Kind


class Layer(StrEnum):
    """What the text layer is worth in a region."""

    SOUND = "sound"
    DOUBTFUL = "doubtful"  # garbage, or less text than there is ink
    NONE = "none"  # a scan, a picture of text, a page whose text layer says other things than its pixels


KINDS = {
    Label.TITLE: Kind.TITLE,
    Label.PLAIN_TEXT: Kind.TEXT,
    Label.ABANDON: Kind.FURNITURE,
    Label.FIGURE: Kind.IMAGE,
    Label.FIGURE_CAPTION: Kind.CAPTION,
    Label.TABLE: Kind.TABLE,
    Label.TABLE_CAPTION: Kind.CAPTION,
    Label.TABLE_FOOTNOTE: Kind.CAPTION,
    Label.ISOLATE_FORMULA: Kind.EQUATION,
    Label.FORMULA_CAPTION: Kind.CAPTION,
}

_LAYER, _VLM, _OCR, _PICTURE = Source.TEXT_LAYER, Source.VLM, Source.OCR, Source.IMAGE

HYBRID: dict[Kind, tuple[Source, Source, Source]] = {
    #                 sound    doubtful  none
    Kind.TITLE: (_LAYER, _VLM, _VLM),
    Kind.TEXT: (_LAYER, _VLM, _VLM),
    Kind.CAPTION: (_LAYER, _VLM, _VLM),
    Kind.FURNITURE: (_LAYER, _VLM, _VLM),
    Kind.TABLE: (_VLM, _VLM, _VLM),
    Kind.EQUATION: (_VLM, _VLM, _VLM),
    Kind.IMAGE: (_PICTURE, _PICTURE, _PICTURE),
}
"""``-b hybrid``: the cheapest source that is sound."""

WITHOUT: dict[Kind, tuple[Source, Source, Source]] = {
    Kind.TITLE: (_LAYER, _OCR, _OCR),
    Kind.TEXT: (_LAYER, _OCR, _OCR),
    Kind.CAPTION: (_LAYER, _OCR, _OCR),
    Kind.FURNITURE: (_LAYER, _OCR, _OCR),
    Kind.TABLE: (_LAYER, _PICTURE, _PICTURE),
    Kind.EQUATION: (_PICTURE, _PICTURE, _PICTURE),
    Kind.IMAGE: (_PICTURE, _PICTURE, _PICTURE),
}
"""What is left where ``--vlm-for`` does not name a kind."""

Rule = dict[Kind, tuple[Source, Source, Source]]


def make_rule(backend: Backend, vlm_for: Collection[Kind] | None, describe_images: bool) -> Rule:
    """The rule of a run: for each kind its source by :class:`Layer`, in the order of its members."""
    if backend is Backend.VLM:
        rule: Rule = {kind: (_VLM,) * 3 for kind in Kind if kind is not Kind.IMAGE}
        rule[Kind.IMAGE] = (_PICTURE,) * 3
    elif vlm_for is None:
        rule = dict(HYBRID)
    else:
        rule = {kind: (_VLM,) * 3 if kind in vlm_for else WITHOUT[kind] for kind in Kind}
    if describe_images:
        rule[Kind.IMAGE] = (_VLM,) * 3
    return rule


def trusts_text(rule: Rule) -> bool:
    """Does it take anything from a text layer, so that it matters whether that says what the page says?"""
    return any(Source.TEXT_LAYER in by_layer for by_layer in rule.values())
