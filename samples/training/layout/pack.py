"""Pack PDFs and labels for a GPU machine without network: streams unpacked, numbers rounded, one xz over everything.

``python -m samples.training.layout.pack OUT.tar.xz SET=FOLDER:MIB[:FIRST:STEP] ...`` takes a folder's documents (from
the FIRST, every STEP-th) until its share, in MiB after compression, is reached; held-out papers never. Of DocBank's
papers (SET ``docbank``) and real ones those that weigh least a page come first. Fonts that synthetic documents share
compress to nearly nothing; large pictures become JPEGs of at most 900 px. Documents may be without labels yet.
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

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 4, "dict_size": 128 << 20}]
PICTURE = 60_000
"""Bytes of an image worth making smaller."""


def rounded(content: bytes) -> bytes:
    """Coordinates of drawing operators to a tenth, glyphs' advances to a hundredth; matrices and colours stay."""
    content = re.sub(rb"(?<![\d.])(\d{2,})\.(\d)\d+", rb"\1.\2", content)
    return re.sub(rb"(?<![\d.])([1-9]\.\d\d)\d+(?= 0 Td)", rb"\1", content)


def lighter(image: pikepdf.Stream) -> None:
    """A large picture as a JPEG of at most 900 px."""
    picture = pikepdf.PdfImage(image).as_pil_image().convert("RGB")
    picture.thumbnail((900, 900))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=50)
    if out.tell() < 0.7 * len(image.read_raw_bytes()):
        image.write(out.getvalue(), filter=pikepdf.Name.DCTDecode)
        image.Width, image.Height = picture.size
        image.ColorSpace, image.BitsPerComponent = pikepdf.Name.DeviceRGB, 8
        for key in ("/Decode", "/DecodeParms", "/Mask", "/Intent"):
            if key in image:
                del image[key]


def unpacked(path: Path, keep: list[bool] | None = None) -> bytes:
    """A PDF with its streams uncompressed; JPEGs stay; pages that ``keep`` leaves out become empty."""
    pdf = pikepdf.open(path)
    for page, wanted in zip(pdf.pages, keep or [], strict=False):
        if not wanted:
            page.Contents = pdf.make_stream(b"")
            page.Resources = pikepdf.Dictionary()
            if "/Annots" in page:
                del page["/Annots"]
    for stream in pdf.objects:
        if not isinstance(stream, pikepdf.Stream):
            continue
        try:
            if stream.get("/Subtype") == "/Image":
                if len(stream.read_raw_bytes()) > PICTURE and "/ImageMask" not in stream:
                    lighter(stream)
            elif "/Length1" not in stream and stream.get("/Type") is None and "/Subtype" not in stream:
                content = stream.read_bytes()
                if re.match(rb"[\d.\s-]{1,60}(cm|d1|w|m|rg|re|q)\b|q\b|BT\b", content[:80]):
                    stream.write(rounded(content))
        except Exception:
            continue
    for key in ("/StructTreeRoot", "/Outlines", "/Names", "/Metadata", "/AcroForm"):
        if key in pdf.Root:
            del pdf.Root[key]
    out = io.BytesIO()
    pdf.remove_unreferenced_resources()
    pdf.save(out, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.generalized)
    return out.getvalue()


def documents(name: str, folder: Path) -> list[tuple[Path, list[dict] | None]]:
    """A folder's documents for training with their pages' labels, if any, in the order they are taken in."""
    found = []
    for path in sorted(folder.glob("*.pdf")):
        label = path.with_suffix(".json")
        pages = json.loads(label.read_text()) if label.exists() else None
        if isinstance(pages, dict):
            if pages["split"] != "train":
                continue
            pages = pages["pages"]
        if pages is not None and not any(p["boxes"] for p in pages):
            continue
        good = sum(bool(p["boxes"]) for p in pages) if pages else len(pikepdf.open(path).pages)
        found.append((path.stat().st_size / max(1, good), path, pages))
    if name != "synth":
        found.sort(key=lambda v: v[0])
    return [(path, pages) for _, path, pages in found]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="+", help="SET=FOLDER:MIB[:FIRST:STEP]")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_suffix(".tmp")
    with lzma.open(partial, "wb", filters=FILTERS) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:

        def add(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        for entry in args.sets:
            name, _, place = entry.partition("=")
            folder, mib, *every = place.split(":")
            first, step = (int(v) for v in every) if every else (0, 1)
            start, pages, count = partial.stat().st_size, 0, 0
            for path, labels in documents(name, Path(folder))[first::step]:
                packed._fp.flush()  # type: ignore[attr-defined]
                if partial.stat().st_size - start > float(mib) * 2**20:
                    break
                # Labels go first: training reads documents while later ones are still being unpacked elsewhere.
                key = f"{name}-{Path(folder).name}-{path.stem}"
                if labels is not None:
                    add(f"{key}.json", json.dumps(labels, separators=(",", ":")).encode())
                add(f"{key}.pdf", unpacked(path, [bool(p["boxes"]) for p in labels] if labels else None))
                pages += sum(bool(p["boxes"]) for p in labels) if labels else len(pikepdf.open(path).pages)
                count += 1
            size = (partial.stat().st_size - start) / 2**20
            print(f"{entry}: {pages} pages of {count} documents, {size:.1f} MiB", flush=True)
    partial.replace(args.out)
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
