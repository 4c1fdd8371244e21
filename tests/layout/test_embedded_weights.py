"""The weights that come with the package: present, small, described, and good enough to be the default."""

from __future__ import annotations

import json
import socket

import numpy as np
import pypdfium2 as pdfium
import pytest
from common import SAMPLES

from mineru_accel.layout.checkpoint import load_checkpoint
from mineru_accel.layout.classes import CLASSES
from mineru_accel.layout.detector import DocLayoutYolo
from mineru_accel.layout.postprocess import iou_matrix
from mineru_accel.models.layout_weights import EMBEDDED

WEIGHTS = sorted(EMBEDDED.glob("*.safetensors"))


def pages(name: str, side: int) -> list[tuple[np.ndarray, list[dict]]]:
    """Pages of a sample with their true regions."""
    document = pdfium.PdfDocument(SAMPLES / f"{name}.pdf")
    out = []
    for page in json.loads((SAMPLES / f"{name}.regions.json").read_text("utf-8")):
        source = document[page["page"]]
        image = source.render(scale=side / max(source.get_size()), rev_byteorder=True).to_numpy()[:, :, :3]
        out.append((np.ascontiguousarray(image), page["regions"]))
    return out


def recall(detector: DocLayoutYolo, name: str) -> float:
    """Share of a sample's regions found with their class at IoU 0.5."""
    found = total = 0
    for image, truth in pages(name, detector.imgsz):
        regions = detector.detect([image])[0]
        for region in truth:
            same = [r.bbox for r in regions if r.label == region["label"]]
            boxes = np.asarray([region["bbox"], *same], np.float32)
            found += bool(same) and bool(iou_matrix(boxes)[0, 1:].max() >= 0.5)
            total += 1
    return found / total


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_there_is_one_small_file() -> None:
    assert len(WEIGHTS) == 1
    assert WEIGHTS[0].stat().st_size < 16 * 2**20


def test_header_is_complete() -> None:
    checkpoint = load_checkpoint(WEIGHTS[0])
    assert checkpoint.classes == CLASSES
    assert (checkpoint.scale, checkpoint.imgsz) == ("n", 1024)
    assert checkpoint.metadata["license"] == "AGPL-3.0-or-later"
    assert len(checkpoint.metadata["git_commit"]) == 40
    assert checkpoint.metadata["training_data"]
    assert int(checkpoint.metadata["training_pages"]) > 1000
    assert json.loads(checkpoint.metadata["metrics"])["unseen"]["mean"][0] > 0.5


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_finds_the_regions_of_a_paper(runtime: str, no_network: None) -> None:
    if runtime == "torch":
        pytest.importorskip("torch")
    detector = DocLayoutYolo(WEIGHTS[0], device="cpu", runtime=runtime)
    assert recall(detector, "paper") >= 0.8
    detector.close()


@pytest.mark.parametrize(
    ("name", "least"),
    [("report", 0.85), ("slides", 0.8), ("invoice", 0.85), ("newsletter", 0.9), ("chinese", 0.9), ("scan", 0.65)],
)
def test_finds_the_regions_of_other_kinds(name: str, least: float, no_network: None) -> None:
    assert recall(DocLayoutYolo(WEIGHTS[0], device="cpu", runtime="onnx"), name) >= least
