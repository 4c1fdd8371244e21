"""The embedded weights on real pages: what doclayout_yolo itself finds with them, within half a pixel.

``MINERU_ACCEL_TEST_PAGES=FOLDER`` takes the first page of every PDF in FOLDER instead of the samples.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from common import SAMPLES
from parity import CONF, assert_same, package_predict

from mineru_accel.layout.checkpoint import load_checkpoint
from mineru_accel.layout.detector import DocLayoutYolo
from mineru_accel.models.layout_weights import require_layout_weights

IMGSZ = 1024
DPI = 144


def rendered(paths: list[Path], limit: int) -> list[tuple[str, np.ndarray]]:
    """Name and RGB picture of the first ``limit`` pages of each PDF."""
    pdfium = pytest.importorskip("pypdfium2")
    found = []
    for path in paths:
        document = pdfium.PdfDocument(path)
        for index in range(min(limit, len(document))):
            bitmap = document[index].render(scale=DPI / 72, rev_byteorder=True)
            found.append((f"{path.name} {index + 1}", np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])))
        document.close()
    return found


def real_pages() -> list[tuple[str, np.ndarray]]:
    folder = os.environ.get("MINERU_ACCEL_TEST_PAGES")
    return rendered(sorted(Path(folder).glob("*.pdf")), 1) if folder else rendered(sorted(SAMPLES.glob("*.pdf")), 4)


@pytest.fixture(scope="module")
def yolo(package, tmp_path_factory):
    """doclayout_yolo's wrapper around the embedded weights (its one-to-many head, which predict ignores, is random)."""
    import torch
    from doclayout_yolo.nn.tasks import YOLOv10DetectionModel

    checkpoint = load_checkpoint(require_layout_weights(None).path)
    model = YOLOv10DetectionModel(checkpoint.yaml, verbose=False)
    missing, unexpected = model.load_state_dict({k: torch.tensor(v) for k, v in checkpoint.state.items()}, strict=False)
    assert not unexpected
    assert all(k.startswith(("model.23.cv", "model.23.dfl")) or k.endswith("num_batches_tracked") for k in missing)
    model.names = dict(enumerate(checkpoint.classes))
    path = tmp_path_factory.mktemp("embedded") / "embedded.pt"
    torch.save({"model": model.eval(), "train_args": {"imgsz": IMGSZ}}, path)
    return package.YOLOv10(str(path))


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_boxes_of_the_package(yolo, runtime):
    pages = real_pages()
    detector = DocLayoutYolo(require_layout_weights(None).path, runtime=runtime, device="cpu", imgsz=IMGSZ, conf=CONF)
    compared = 0
    for name, page in pages:
        (found,) = detector.detect_raw([page])
        wanted = package_predict(yolo, page, IMGSZ)
        try:
            assert_same(found, wanted, least=1)
        except AssertionError as error:
            pytest.fail(f"{name}: {error}")
        compared += len(wanted)
    print(f"{len(pages)} pages, {compared} boxes, {runtime}: the package's")
    assert compared > 10 * len(pages) / 2
