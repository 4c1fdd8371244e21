"""Languages of the OCR model that RapidOCR ships (PP-OCRv6 small: one model for all of these)."""

from __future__ import annotations

KNOWN = frozenset(
    "auto ch chinese_cht en japan af az bs ca cs cy da de es et eu fi fr ga gl hr hu id is it ku la lb lt lv mi ms mt "
    "nl no oc pl pt qu rm ro rs_latin sk sl sq sv sw tl tr uz vi french german "
    # other codes for the same languages, MinerU's among them
    "zh zh_cn zh-cn zh_tw zh-tw ja jp ch_lite ch_server latin".split()
)

NAMES = {
    **{"auto": "Auto · 自动", "ch": "简体中文", "chinese_cht": "繁體中文", "en": "English", "japan": "日本語"},
    **{"de": "Deutsch", "fr": "Français", "es": "Español", "pt": "Português", "it": "Italiano", "nl": "Nederlands"},
    **{"da": "Dansk", "sv": "Svenska", "is": "Íslenska", "fi": "Suomi", "et": "Eesti", "lv": "Latviešu"},
    **{"lt": "Lietuvių", "pl": "Polski", "cs": "Čeština", "sk": "Slovenčina", "sl": "Slovenščina", "hr": "Hrvatski"},
    **{"bs": "Bosanski", "rs_latin": "Srpski", "hu": "Magyar", "ro": "Română", "sq": "Shqip", "tr": "Türkçe"},
    **{"az": "Azərbaycanca", "uz": "Oʻzbekcha", "vi": "Tiếng Việt", "id": "Bahasa Indonesia", "ms": "Bahasa Melayu"},
    **{"tl": "Tagalog", "sw": "Kiswahili", "af": "Afrikaans", "cy": "Cymraeg", "ca": "Català", "gl": "Galego"},
    **{"eu": "Euskara", "oc": "Occitan", "lb": "Lëtzebuergesch", "mt": "Malti", "la": "Latina"},
}
"""Names of the languages in these languages, by code: the choices of a user interface."""


def language_warning(lang: str) -> str | None:
    """A warning if RapidOCR's model can't read a language, else None.

    Args:
        lang: a code; upper and lower case are the same.
    """
    if lang.lower() in KNOWN:
        return None
    return f"the OCR model that comes with RapidOCR does not know the language {lang!r}: expect poor text from scans"
