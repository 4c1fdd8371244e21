"""The part of ``bench layout`` that measures doclayout_yolo's ``predict``, with and without this project's patch."""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .page_measures import matching_boxes, median_seconds

if TYPE_CHECKING:
    from ...layout.postprocess import Detections
    from .benchmark import LayoutBenchmark


def predict(bench: LayoutBenchmark) -> None:
    """doclayout_yolo's own predict and the patched one: their boxes compared, then their times in turn."""
    import numpy as np

    from ... import patches

    if bench.model.package_model is None:
        bench.print_result("predict: needs --random and doclayout_yolo")
        return
    side = bench.args.imgsz
    options = {"imgsz": side, "conf": 0.1, "iou": 0.45, "device": str(bench.model.device), "verbose": False}
    sizes = {"at layout size": (side, round(side / 2**0.5)), "of 200 dpi": (2339, 1654)}
    pages = {
        what: [np.ascontiguousarray(bench.model.page(h, w, i)[:, :, ::-1]) for i in range(16)]
        for what, (h, w) in sizes.items()
    }
    plain = _package_wrapper(bench)
    plain.predict(pages["at layout size"][0], **options)  # its predictor is made before the patch is there
    try:
        status = patches.apply("doclayout-yolo")
        bench.print_result(f"patch doclayout-yolo: {status.state.value}, {status.reason}")
        patched = _package_wrapper(bench)
        patched.predict(pages["at layout size"][0], **options)
        engine = vars(patched.predictor).get("_mineru_accel_engine")
        if engine is None or not engine.wait_compiled(300):
            raise RuntimeError("the patch's engine is not in use")
        for what, batch in pages.items():
            _compare_boxes(bench, what, batch, plain, patched, options)
            _compare_times(bench, what, batch, plain, patched, options)
    finally:
        patches.revert("doclayout-yolo")


def _compare_boxes(
    bench: LayoutBenchmark, what: str, batch: list[Any], plain: Any, patched: Any, options: dict[str, Any]
) -> None:
    """Share of the package's boxes that the patched package finds, too."""
    matched = total = 0
    for page in batch:
        wanted, found = (_detections(model.predict(page, **options)[0]) for model in (plain, patched))
        m, t = matching_boxes(wanted, found)
        matched, total = matched + m, total + t
    bench.print_result(f"patched predict {what}: {matched} of {total} boxes over 0.3 found again")
    bench.results[f"patched boxes {what}"] = {"matched": matched, "total": total}


def _compare_times(
    bench: LayoutBenchmark, what: str, batch: list[Any], plain: Any, patched: Any, options: dict[str, Any]
) -> None:
    """Pages/s of both, in turn: one page a call, and all pages in one call."""

    def one_by_one(model: Any) -> None:
        for page in batch:
            model.predict(page, **options)

    def at_once(model: Any) -> None:
        model.predict(list(batch), **options)

    for way, call in (("one page a call (as MinerU called it)", one_by_one), ("16 a call", at_once)):
        seconds: dict[str, list[float]] = {"predict": [], "patched": []}
        for model in (plain, patched):
            call(model)
        for _ in range(5):
            for name, model in (("predict", plain), ("patched", patched)):
                seconds[name].append(median_seconds(partial(call, model), 1) / len(batch))
        for name, times in seconds.items():
            rate = 1 / statistics.median(times)
            bench.results[f"{name} {what}, {way}"] = rate
            bench.print_result(f"doclayout_yolo {name} {what}, {way}: {rate:.1f} pages/s")
    alone = bench.results[f"predict {what}, one page a call (as MinerU called it)"]
    if ours := bench.results.get(f"pages {what}"):
        bench.print_result(f"the engine {what}: {ours:.0f} pages/s, {ours / alone:.1f} times predict, one page a call")


def _package_wrapper(bench: LayoutBenchmark) -> Any:
    """doclayout_yolo's YOLOv10 of the model, loaded from a checkpoint file."""
    import tempfile

    import torch
    from doclayout_yolo import YOLOv10

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pt"
        model = bench.model.package_model.float().cpu()
        torch.save({"model": model, "train_args": {"imgsz": bench.args.imgsz}}, path)
        return YOLOv10(str(path))


def _detections(result: Any) -> Detections:
    """Boxes of one of the package's Results."""
    from ...layout.postprocess import Detections

    boxes = result.boxes.cpu()
    return Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(int))
