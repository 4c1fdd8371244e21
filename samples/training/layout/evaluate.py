"""AP of layout weights, measured through ``mineru_accel.layout``, pages rendered as the pipeline renders them.

``python -m samples.training.layout.evaluate WEIGHTS SET=FOLDER ... [--json OUT] [--overlays DIR]``. A folder holds
NAME.pdf with NAME.json (:mod:`.synth`, :mod:`.docbank`, :mod:`.real`, :mod:`.byhand`; only papers with ``"split":
"test"``) or NAME.regions.json (``samples/``). WEIGHTS may be the teacher's ONNX file.
Needs pycocotools.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageDraw

from mineru_accel.bench.quality.layout_ap import average_precision
from mineru_accel.layout.classes import CLASS_IDS, CLASSES
from mineru_accel.layout.detector import DocLayoutYolo
from mineru_accel.layout.postprocess import iou_matrix

from .dataset import MASK, paint_over
from .dataset import pages as labelled_pages
from .real import Teacher, to_classes

COLOURS = ["#e00000", "#2060ff", "#888888", "#00a000", "#00d0d0", "#ff8800", "#c08000", "#c000c0", "#8040ff", "#ff00ff"]
Example = tuple[str, np.ndarray, np.ndarray]
"""Name, RGB image, ``(n, 5)``: class and box as fractions of the page."""


def render(document: pdfium.PdfDocument, i: int, side: int) -> np.ndarray:
    """One page with its longer side at ``side``."""
    page = document[i]
    scale = side / max(page.get_size())
    return np.ascontiguousarray(page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3])


def examples(folder: Path, side: int, every: int) -> Iterator[Example]:
    """Pages with their true regions."""
    for path in sorted(folder.glob("*.pdf")):
        exact = path.with_name(path.stem + ".regions.json")
        document = pdfium.PdfDocument(path)
        if exact.exists():
            for page in json.loads(exact.read_text("utf-8")):
                truth = [[CLASS_IDS[r["label"]], *r["bbox"]] for r in page["regions"]]
                yield f"{path.stem}-{page['page']}", render(document, page["page"], side), np.asarray(truth, np.float64)
            continue
        labels = path.with_suffix(".json")
        if not labels.exists():
            continue
        loaded = json.loads(labels.read_text())
        if isinstance(loaded, dict) and loaded["split"] != "test":
            continue
        sheets = loaded["pages"] if isinstance(loaded, dict) else loaded
        numbers = [i for i, p in enumerate(sheets) if p["boxes"]]
        for k, (i, (image, boxes, _)) in enumerate(zip(numbers, labelled_pages(path), strict=False)):
            if k % every:
                continue
            truth = boxes.astype(np.float64)
            truth[:, 1:] /= np.tile(image.shape[1::-1], 2)
            picture = render(document, i, side)
            to_pixels = np.tile(np.asarray(picture.shape[1::-1]) / sheets[i]["size"], 2)
            for c, *box in sheets[i]["boxes"]:
                if c == MASK:
                    paint_over(picture, (box * to_pixels).tolist())
            yield f"{path.stem}-{i}", picture, truth


def matched(truth: np.ndarray, boxes: np.ndarray, conf: float, with_class: bool = True) -> tuple[int, int, int]:
    """True regions, regions found with a score above ``conf``, and pairs of them at IoU 0.5, each used once."""
    boxes = boxes[boxes[:, 1] > conf]
    if not len(boxes) or not len(truth):
        return len(truth), len(boxes), 0
    iou = iou_matrix(np.concatenate([truth[:, 1:], boxes[:, 2:]]).astype(np.float32))[: len(truth), len(truth) :].copy()
    if with_class:
        iou[truth[:, 0][:, None] != boxes[:, 0][None]] = 0
    pairs = 0
    for j in range(len(boxes)):
        i = int(iou[:, j].argmax())
        if iou[i, j] >= 0.5:
            pairs += 1
            iou[i] = 0
    return len(truth), len(boxes), pairs


def overlay(image: np.ndarray, boxes: np.ndarray, conf: float) -> Image.Image:
    """The page with what was found."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    h, w = image.shape[:2]
    for c, score, x0, y0, x1, y1 in boxes.tolist():
        if score > conf:
            draw.rectangle([x0 * w, y0 * h, x1 * w, y1 * h], outline=COLOURS[int(c)], width=2)
            draw.text((x0 * w + 2, y0 * h - 9), f"{CLASSES[int(c)][:3]} {score:.2f}", fill=COLOURS[int(c)])
    return picture


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("sets", nargs="+", help="NAME=FOLDER or NAME=FOLDER:EVERY")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--overlays", type=Path)
    parser.add_argument("--conf", type=float, default=0.2, help="for recall, precision and overlays")
    parser.add_argument("--runtime", default="auto")
    args = parser.parse_args()
    if args.weights.suffix == ".onnx":
        teacher, side = Teacher(args.weights, 2), 1024

        def detect(image: np.ndarray) -> np.ndarray:
            h, w = image.shape[:2]
            return to_classes(teacher(image, 0.01)) / [1, 1, w, h, w, h]

    else:
        detector = DocLayoutYolo(args.weights, runtime=args.runtime, conf=0.005)
        side = detector.imgsz

        def detect(image: np.ndarray) -> np.ndarray:
            rows = [[CLASS_IDS[r.label], r.score, *r.bbox] for r in detector.detect([image])[0]]
            return np.asarray(rows, np.float64).reshape(-1, 6)

    report: dict[str, dict] = {}
    for entry in args.sets:
        name, _, place = entry.partition("=")
        folder, _, every = place.partition(":")
        truths, found, names = [], [], []
        for label, image, truth in examples(Path(folder), side, int(every or 1)):
            boxes = detect(image)
            truths.append(truth)
            found.append(boxes)
            names.append(label)
            if args.overlays:
                args.overlays.mkdir(parents=True, exist_ok=True)
                overlay(image, boxes, args.conf).save(args.overlays / f"{name}-{label}.png")
        scores = average_precision(truths, found)
        report[name] = {"pages": len(truths), "classes": scores, "thresholds": {}}
        print(f"\n{name}: {len(truths)} pages\n\n| class | regions | AP50 | AP50:95 |\n|---|---|---|---|")
        for label, s in scores.items():
            print(f"| {label} | {s['n']} | {s['AP50']:.3f} | {s['AP50:95']:.3f} |")
        for conf in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5):
            sums = np.sum(
                [[*matched(t, b, conf), matched(t, b, conf, False)[2]] for t, b in zip(truths, found, strict=True)], 0
            )
            recall, precision, any_class = sums[2] / sums[0], sums[2] / max(1, sums[1]), sums[3] / sums[0]
            f1 = 2 * recall * precision / max(1e-9, recall + precision)
            report[name]["thresholds"][str(conf)] = {
                "recall": recall,
                "precision": precision,
                "F1": f1,
                "recall, any class": any_class,
            }
            print(
                f"conf {conf}: recall {recall:.3f}, precision {precision:.3f}, F1 {f1:.3f}; "
                f"any class: recall {any_class:.3f}"
            )
        if name == "samples":
            for label, t, b in zip(names, truths, found, strict=True):
                print(label, *matched(t, b, args.conf))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1, default=float))


if __name__ == "__main__":
    main()
