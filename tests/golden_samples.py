"""Markdown and content lists of the samples, from layout regions as the embedded model found them once.

``python tests/golden_samples.py`` writes ``tests/golden/`` anew (``--regions``: detects the regions anew, too);
what changed is then to be read in ``git diff``. Regions are kept because a layout model's last digits differ from one
processor to the next; OCR's do as well, so that of the scan only the Markdown is kept.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from common import ROOT, SAMPLES

from mineru_accel.document import Region
from mineru_accel.export.types import WriteJob, Writing
from mineru_accel.export.writer import write
from mineru_accel.options import Backend, Format, Images, Method
from mineru_accel.pdf.jobs import read
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading import jobs
from mineru_accel.reading.source_policy import make_source_policy

GOLDEN = ROOT / "tests" / "golden"
REGIONS = GOLDEN / "regions.json"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.pdf"))
WAYS = ("doclayout-yolo", "native")
FORMATS = (Format.MD, Format.CONTENT_LIST)
BY_OCR = "scan"


def outputs(name: str, way: str, staging: Path) -> dict[str, bytes]:
    """A sample's files by name, without a layout model.

    Args:
        way: which of :data:`WAYS` the regions come from.
        staging: an empty folder.
    """
    key = Key(str(SAMPLES / f"{name}.pdf"))
    found = json.loads(REGIONS.read_text(encoding="utf-8"))[name]
    sources = []
    for index in range(len(found)):
        seen = read(key, index, Method.AUTO, 200, None, 0, 0)
        sources.append(PageSource(index, seen.ocr, seen.why_ocr))
    if way == "native":
        jobs.native(key, sources, str(staging), 200, True, True)
    else:
        policy = make_source_policy(Backend.PIPELINE, None, False)
        for source, page in zip(sources, found, strict=True):
            regions = [Region(label, tuple(bbox), score) for label, bbox, score in page]
            jobs.regions(key, source, regions, policy, str(staging), 200, True, source.index == 0)
    effort = "flash" if way == "native" else "medium"
    document = Writing(key, name, str(staging), list(range(len(found))), True, Images.FILE, effort, "txt")
    written = write(WriteJob(document, FORMATS, 0))
    assert written.failed_formats == {}
    wanted = [written.files[Format.MD]] if name == BY_OCR else [written.files[f] for f in FORMATS]
    return {file: (staging / file).read_bytes() for file in wanted}


def _detected() -> dict[str, list[list[tuple[str, list[float], float]]]]:
    """Regions that the embedded layout model finds: (class, bbox, score) by sample and page."""
    import numpy as np

    from mineru_accel.layout import load_detector
    from mineru_accel.models.layout_weights import EMBEDDED
    from mineru_accel.pdf.opening import open_page
    from mineru_accel.pdf.rendering import render, rotate

    detector = load_detector(next(EMBEDDED.glob("*.safetensors")), device="cpu")
    found: dict[str, list[list[tuple[str, list[float], float]]]] = {}
    for name in NAMES:
        key = Key(str(SAMPLES / f"{name}.pdf"))
        found[name] = []
        for index in range(len(json.loads((SAMPLES / f"{name}.regions.json").read_text(encoding="utf-8")))):
            seen = read(key, index, Method.AUTO, 200, None, 0, 0)
            with open_page(key, index) as page:
                image = render(page, detector.imgsz / max(seen.size))
            if seen.ocr and seen.ocr.angle:
                image = rotate(image, seen.ocr.angle)
            (regions,) = detector.detect([np.ascontiguousarray(image)])
            found[name].append(
                [(str(r.label), [round(v, 5) for v in r.bbox], round(float(r.score), 4)) for r in regions]
            )
    detector.close()
    return found


def _as_lines(found: dict[str, list[list[tuple[str, list[float], float]]]]) -> str:
    """JSON with a region a line."""
    pages = {
        name: [",\n   ".join(json.dumps(region) for region in page) for page in pages] for name, pages in found.items()
    }
    samples = [
        f'"{name}": [\n  ' + ",\n  ".join(f"[{page}]" for page in pages_) + "\n ]" for name, pages_ in pages.items()
    ]
    return "{\n " + ",\n ".join(samples) + "\n}\n"


if __name__ == "__main__":
    if "--regions" in sys.argv:
        REGIONS.write_text(_as_lines(_detected()), encoding="utf-8")
    for way in WAYS:
        (GOLDEN / way).mkdir(exist_ok=True)
        for name in NAMES:
            with tempfile.TemporaryDirectory() as staging:
                for file, data in outputs(name, way, Path(staging)).items():
                    (GOLDEN / way / file).write_bytes(data)
