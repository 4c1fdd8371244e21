"""Make the sample documents and their ground truth.

    python samples/make_samples.py [FOLDER]

writes ``NAME.pdf``, ``NAME.md`` and ``NAME.regions.json`` into FOLDER (this folder if not given). The
documents are ours from the first word to the last picture. Running it twice gives the same bytes.

It needs reportlab, pillow, numpy, pypdfium2, ziamath and fontTools, and these Debian packages with free fonts:

    apt-get install fonts-liberation fonts-crosextra-carlito fonts-arphic-gbsn00lp fonts-wqy-microhei

Users of the samples need none of this: the PDFs have the subsets of the fonts they use inside.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from make import chinese, fonts, invoice, newsletter, paper, report, scan, slides  # noqa: E402

MAKERS = {
    "paper": paper.make,
    "report": report.make,
    "slides": slides.make,
    "scan": scan.make,  # after the report, of which it is a scan
    "chinese": chinese.make,
    "invoice": invoice.make,
    "newsletter": newsletter.make,
}


def make_all(folder: Path) -> list[str]:
    """Write every sample into ``folder``; returns their names.

    Raises:
        FileNotFoundError: if a font is missing.
    """
    fonts.register()
    folder.mkdir(parents=True, exist_ok=True)
    for make in MAKERS.values():
        make(folder)
    return list(MAKERS)


if __name__ == "__main__":
    print("made:", *make_all(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE))
