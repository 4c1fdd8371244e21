"""Where a region's content is first sought: in the text layer, by the VLM, by OCR, or as a picture.

Where that gives nothing, :mod:`.blocks` and :mod:`.vlm_answers` fall back to what there is, and say so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..document import Source
from ..layout.classes import Label
from ..options import Backend, Kind


class LayerQuality(StrEnum):
    """How far the text layer can be trusted in a region."""

    SOUND = "sound"
    DOUBTFUL = "doubtful"  # garbage, or less text than there is ink
    NONE = "none"  # a scan, a picture of text, a page whose text layer says other things than its pixels


KIND_OF_LABEL = {
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
"""The option's kind of region by the detector's class."""

_LAYER, _VLM, _OCR, _PICTURE = Source.TEXT_LAYER, Source.VLM, Source.OCR, Source.IMAGE

Sources = tuple[Source, Source, Source]
"""A kind's source for each :class:`LayerQuality`, in the order of its members."""

WITH_VLM: dict[Kind, Sources] = {
    #             sound   doubtful  none
    Kind.TITLE: (_LAYER, _VLM, _VLM),
    Kind.TEXT: (_LAYER, _VLM, _VLM),
    Kind.CAPTION: (_LAYER, _VLM, _VLM),
    Kind.FURNITURE: (_LAYER, _VLM, _VLM),
    Kind.TABLE: (_VLM, _VLM, _VLM),
    Kind.EQUATION: (_VLM, _VLM, _VLM),
    Kind.IMAGE: (_PICTURE, _PICTURE, _PICTURE),
}
"""``-b hybrid``: the cheapest source that is sound."""

WITHOUT_VLM: dict[Kind, Sources] = {
    Kind.TITLE: (_LAYER, _OCR, _OCR),
    Kind.TEXT: (_LAYER, _OCR, _OCR),
    Kind.CAPTION: (_LAYER, _OCR, _OCR),
    Kind.FURNITURE: (_LAYER, _OCR, _OCR),
    Kind.TABLE: (_LAYER, _LAYER, _PICTURE),
    Kind.EQUATION: (_PICTURE, _PICTURE, _PICTURE),
    Kind.IMAGE: (_PICTURE, _PICTURE, _PICTURE),
}
"""``-b pipeline``, and the kinds that ``--vlm-for`` does not name."""


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """The source of a region's content by its kind and by the quality of the text layer there."""

    by_kind: Mapping[Kind, Sources]
    compares_with_pixels: bool = False
    """Whether OCR reads a line of each page to check that its text layer says what the page shows."""

    def source(self, kind: Kind, quality: LayerQuality) -> Source:
        """The source of a region of this kind."""
        return self.by_kind[kind][list(LayerQuality).index(quality)]


def make_source_policy(backend: Backend, vlm_for: Collection[Kind] | None, describe_images: bool) -> SourcePolicy:
    """The policy of a run.

    Args:
        vlm_for: kinds that the VLM always reads; None for the default of ``hybrid``.
        describe_images: whether the VLM describes pictures.
    """
    if backend is Backend.PIPELINE:
        return SourcePolicy(WITHOUT_VLM)
    if backend is Backend.VLM:
        table: dict[Kind, Sources] = {kind: (_VLM,) * 3 for kind in Kind if kind is not Kind.IMAGE}
        table[Kind.IMAGE] = (_PICTURE,) * 3
    elif vlm_for is None:
        table = dict(WITH_VLM)
    else:
        table = {kind: (_VLM,) * 3 if kind in vlm_for else WITHOUT_VLM[kind] for kind in Kind}
    if describe_images:
        table[Kind.IMAGE] = (_VLM,) * 3
    return SourcePolicy(table, any(_LAYER in sources for sources in table.values()))
