"""Pack PDFs and labels for the trip to the GPU host: streams unpacked, numbers rounded, then one xz over everything.

``python -m samples.training.layout.pack OUT.tar.xz MIB DOCBANK_MIB SYNTH_DIR DOCBANK_DIR [--skip N]`` takes documents
in turn until the sizes are reached (held-out papers never). Fonts that documents share compress to nearly nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import re
import tarfile
from pathlib import Path

import pikepdf

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 2, "dict_size": 128 << 20}]


def rounded(content: bytes) -> bytes:
    """Coordinates of drawing operators to a tenth; small numbers (matrices, colours) stay."""
    return re.sub(rb"(?<![\d.])(\d{2,})\.(\d)\d+", rb"\1.\2", content)


def unpacked(path: Path) -> bytes:
    """A PDF with its streams uncompressed; JPEGs stay."""
    pdf = pikepdf.open(path)
    for stream in pdf.objects:
        if (
            isinstance(stream, pikepdf.Stream)
            and "/Length1" not in stream
            and stream.get("/Type") is None
            and "/Subtype" not in stream
        ):
            try:
                content = stream.read_bytes()
            except pikepdf.PdfError:
                continue
            if re.match(rb"[\d.\s-]{1,60}(cm|d1|w|m|rg|re|q)\b|q\b|BT\b", content[:80]):
                stream.write(rounded(content))
    if "/StructTreeRoot" in pdf.Root:
        del pdf.Root.StructTreeRoot
    out = io.BytesIO()
    pdf.remove_unreferenced_resources()
    pdf.save(out, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.generalized)
    return out.getvalue()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("mib", type=float)
    parser.add_argument("docbank_mib", type=float)
    parser.add_argument("synth", type=Path)
    parser.add_argument("docbank", type=Path)
    parser.add_argument("--skip", type=int, default=0, help="synthetic documents to leave out")
    parser.add_argument(
        "--papers", type=int, nargs=2, default=(0, 1), help="first and step, of papers by weight a page"
    )
    parser.add_argument("--docs", type=int, default=10**6)
    args = parser.parse_args()
    partial = args.out.with_suffix(".tmp")
    pages = 0
    with lzma.open(partial, "wb", filters=FILTERS) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:

        def add(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        papers = []
        for label in sorted(args.docbank.glob("*.json")):
            d = json.loads(label.read_text())
            good = sum(p["boxes"] is not None for p in d["pages"])
            if d["split"] == "train" and good:
                papers.append((label.with_suffix(".pdf").stat().st_size / good, label, d))
        spent = 0.0
        for per_page, label, d in sorted(papers, key=lambda v: v[0])[
            args.papers[0] :: args.papers[1]
        ]:  # the lightest a page first
            good = sum(p["boxes"] is not None for p in d["pages"])
            if spent + per_page * good > args.docbank_mib * 2**20:
                continue
            spent += per_page * good
            pages += good
            add(f"docbank{label.stem}.json", json.dumps(d["pages"]).encode())
            add(f"docbank{label.stem}.pdf", label.with_suffix(".pdf").read_bytes())
        print(f"{pages} DocBank pages, {spent / 2**20:.1f} MiB", flush=True)
        labels = sorted(args.synth.glob("*.json"))[args.skip :][: args.docs]
        for i, label in enumerate(labels):
            if i % 10 == 0:
                packed._fp.flush()  # type: ignore[attr-defined]
                if partial.stat().st_size > args.mib * 2**20:
                    break
            d = json.loads(label.read_text())
            pages += sum(p["boxes"] is not None for p in d)
            add(f"synth{label.stem}.json", json.dumps(d).encode())
            add(f"synth{label.stem}.pdf", unpacked(label.with_suffix(".pdf")))
        else:
            i = len(labels)
    partial.replace(args.out)
    print(f"{pages} pages, {i} synthetic documents, {args.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
