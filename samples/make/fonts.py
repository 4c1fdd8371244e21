"""Free fonts the samples are set in; only subsets of them end up in the PDFs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from reportlab.pdfbase import pdfmetrics, ttfonts
from reportlab.pdfbase.ttfonts import TTFont

ROOT = Path("/usr/share/fonts/truetype")

FILES: dict[str, tuple[str, int]] = {
    "Serif": ("liberation/LiberationSerif-Regular.ttf", 0),
    "Serif-B": ("liberation/LiberationSerif-Bold.ttf", 0),
    "Serif-I": ("liberation/LiberationSerif-Italic.ttf", 0),
    "Serif-BI": ("liberation/LiberationSerif-BoldItalic.ttf", 0),
    "Sans": ("liberation/LiberationSans-Regular.ttf", 0),
    "Sans-B": ("liberation/LiberationSans-Bold.ttf", 0),
    "Sans-I": ("liberation/LiberationSans-Italic.ttf", 0),
    "Carlito": ("crosextra/Carlito-Regular.ttf", 0),
    "Carlito-B": ("crosextra/Carlito-Bold.ttf", 0),
    "Carlito-I": ("crosextra/Carlito-Italic.ttf", 0),
    "Song": ("arphic-gbsn00lp/gbsn00lp.ttf", 0),
    "Hei": ("wqy/wqy-microhei.ttc", 0),
}
"""Name used here -> (file below :data:`ROOT`, number of the face in a collection)."""

PACKAGES = "fonts-liberation fonts-crosextra-carlito fonts-arphic-gbsn00lp fonts-wqy-microhei"
"""The Debian packages that hold them."""


def math_font() -> Path:
    """STIX Two Math, as the ``ziamath`` package ships it."""
    spec = importlib.util.find_spec("ziamath")
    if spec is None or spec.origin is None:
        return Path("ziamath is not installed")
    return Path(spec.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"


def missing() -> list[str]:
    """Font files that this machine lacks (then the samples can't be regenerated here)."""
    wanted = [ROOT / name for name, _ in FILES.values()] + [math_font()]
    return [str(path) for path in wanted if not path.is_file()]


def _to_unicode(font_name: str, subset: list[int]) -> str:
    """reportlab's ToUnicode table, but with characters beyond U+FFFF in UTF-16, as PDF wants them."""
    rows = "\n".join(f"<{i:02X}> <{chr(code).encode('utf-16-be').hex().upper()}>" for i, code in enumerate(subset))
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        f"/CIDSystemInfo\n<< /Registry ({font_name})\n/Ordering ({font_name})\n/Supplement 0\n>> def\n"
        f"/CMapName /{font_name} def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<00> <{len(subset) - 1:02X}>\nendcodespacerange\n"
        f"{len(subset)} beginbfchar\n{rows}\nendbfchar\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    )


def register() -> None:
    """Make the fonts known to reportlab, once.

    Raises:
        FileNotFoundError: if a font is missing; the message names the packages.
    """
    if lacking := missing():
        raise FileNotFoundError(f"missing fonts: {', '.join(lacking)}; apt-get install {PACKAGES}; pip install ziamath")
    ttfonts.makeToUnicodeCMap = _to_unicode
    known = pdfmetrics.getRegisteredFontNames()
    for name, (path, face) in FILES.items():
        if name not in known:
            pdfmetrics.registerFont(TTFont(name, str(ROOT / path), subfontIndex=face))
    if "Math" not in known:
        pdfmetrics.registerFont(TTFont("Math", str(math_font())))
