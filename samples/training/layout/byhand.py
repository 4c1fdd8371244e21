"""Real pages labelled by hand: the boxes of ``real-test.json`` put beside their PDFs, for :mod:`.evaluate`.

``python -m samples.training.layout.byhand OUT debian=DEB mineru=PDFS docbank=DOCBANK`` writes ``OUT/NN.pdf`` of one
page and ``OUT/NN.json``; pages whose PDF is not there are named and left out. DEB holds Debian's documentation packages
unpacked (README.md), PDFS MinerU's ``demo/pdfs`` (demo1.pdf, small_ocr.pdf). No page is from a document trained on.
Boxes are in points, origin top left; what has no clear label is painted over (class ``MASK``).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pikepdf

PAGES = Path(__file__).with_name("real-test.json")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", nargs="+", help="NAME=FOLDER; NAME is the first part of a page's path")
    args = parser.parse_args()
    folders = dict(entry.split("=", 1) for entry in args.folders)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(json.loads(PAGES.read_text())):
        collection, _, name = page["pdf"].partition("/")
        path = Path(folders.get(collection, "")) / name
        if collection not in folders or not path.is_file():
            print(f"{page['pdf']}: not there")
            continue
        out = args.out / f"{number:02d}.pdf"
        with pikepdf.open(path) as source, pikepdf.new() as single:
            single.pages.append(source.pages[page["page"]])
            single.remove_unreferenced_resources()
            single.save(out)
        labels = {"family": "byhand", "size": page["size"], "boxes": page["boxes"]}
        out.with_suffix(".json").write_text(json.dumps({"split": "test", "pages": [labels]}, separators=(",", ":")))


if __name__ == "__main__":
    main()
