"""Finding the layout weights: the order of the places, and no network unless asked."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mineru_accel.errors import ModelError, UsageError
from mineru_accel.layout.verify import verify
from mineru_accel.models import catalogue, layout_weights, locate

PUBLISHED = Path(layout_weights.LAYOUT_FILE)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, no settings from outside, no embedded weights, and no network."""
    for name in list(os.environ):
        if name.startswith(("MINERU_", "HF_", "MODELSCOPE_", "XDG_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(layout_weights, "EMBEDDED", tmp_path / "embedded")

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("network touched")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(locate, "fetch", refuse)
    return folder


def put(path: Path, data: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_nothing_anywhere():
    assert layout_weights.find_layout_weights() is None
    with pytest.raises(ModelError, match="mineru-accel models download") as error:
        layout_weights.require_layout_weights()
    assert "\n" not in str(error.value)


def test_order(home, tmp_path, monkeypatch):
    """Each place is taken only while those before it are empty."""
    snapshot = home / ".cache/huggingface/hub/models--opendatalab--PDF-Extract-Kit-1.0/snapshots/abc"
    places = [
        (home / ".cache/modelscope/hub/models/OpenDataLab/PDF-Extract-Kit-1___0" / PUBLISHED, "ModelScope's cache"),
        (snapshot / PUBLISHED, "Hugging Face's cache"),
        (tmp_path / "embedded" / "layout-n.safetensors", "embedded in the package"),
        (home / ".mineru/models/PDF-Extract-Kit-1.0" / PUBLISHED, "MinerU's model folder"),
        (tmp_path / "mine" / "doclayout-own.safetensors", "MINERU_ACCEL_MODELS"),
    ]
    monkeypatch.setenv("MINERU_ACCEL_MODELS", str(tmp_path / "mine"))
    for path, where in places:
        put(path)
        assert layout_weights.find_layout_weights() == locate.FoundWeights(path, where)
    given = put(tmp_path / "given.pt")
    assert layout_weights.find_layout_weights(given) == locate.FoundWeights(given, "--layout-weights")
    listed, _ = catalogue.list_models()
    assert listed.found == locate.FoundWeights(places[-1][0], "MINERU_ACCEL_MODELS")
    assert [p.where for p in listed.places if p.path] == [where for _, where in reversed(places)]


def test_explicit_file_must_exist(tmp_path):
    put(tmp_path / "embedded" / "x.safetensors")
    with pytest.raises(ModelError, match="no such file"):
        layout_weights.find_layout_weights(tmp_path / "missing.pt")


def test_mineru_home_and_configuration(home, tmp_path, monkeypatch):
    assert locate.mineru_model_dir() == home / ".mineru/models"
    monkeypatch.setenv("MINERU_HOME", str(tmp_path / "mineru"))
    assert locate.mineru_model_dir() == tmp_path / "mineru/models"
    put(tmp_path / "mineru/config.yaml", b"model:\n  base_dir: $HOME/big-disk\n  source: local\n")
    assert locate.mineru_model_dir() == home / "big-disk"
    assert locate.model_source() == "local"
    put(home / "other.yaml", b"model:\n  base_dir: ~/other\n")
    monkeypatch.setenv("MINERU_CONFIG", "~/other.yaml")
    assert locate.mineru_model_dir() == home / "other"
    monkeypatch.setenv("MINERU_MODEL_BASE_DIR", str(tmp_path / "env"))
    weights = put(tmp_path / "env" / PUBLISHED)
    assert layout_weights.find_layout_weights() == locate.FoundWeights(weights, "MinerU's model folder")


@pytest.mark.parametrize("text", [b"", b"[1, 2", b"- a\n", b"model: 3\n", b"\xff\xfe"])
def test_broken_configuration_is_no_configuration(home, text):
    put(home / ".mineru/config.yaml", text)
    put(home / "mineru.json", text)
    assert locate.mineru_model_dir() == home / ".mineru/models"
    assert layout_weights.find_layout_weights() is None


def test_same_folder_as_mineru(tmp_path):
    """Our reading of MinerU's configuration is MinerU's own."""
    pytest.importorskip("mineru")
    put(tmp_path / "config.yaml", b"model:\n  base_dir: /data/models\n")
    code = (
        "from mineru.config import config; from pathlib import Path; from mineru_accel.models import locate;"
        "assert locate.mineru_model_dir() == Path(config.model.base_dir), config.model.base_dir;"
        "assert locate.model_source() == config.model.source, config.model.source"
    )
    base = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    for extra in (
        {},
        {"MINERU_HOME": str(tmp_path / "h")},
        {"MINERU_CONFIG": str(tmp_path / "config.yaml")},
        {"MINERU_MODEL_BASE_DIR": "/x", "MINERU_MODEL_SOURCE": "modelscope"},
    ):
        run = subprocess.run([sys.executable, "-c", code], env=base | extra, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def test_mineru_2(home):
    weights = put(home / "kit" / PUBLISHED)
    put(home / "mineru.json", json.dumps({"models-dir": {"pipeline": str(home / "kit")}}).encode())
    assert layout_weights.find_layout_weights() == locate.FoundWeights(weights, "MinerU 2's mineru.json")


def test_sources(monkeypatch):
    assert locate.model_source() == "auto"
    monkeypatch.setenv("MINERU_MODEL_SOURCE", " ModelScope ")
    assert locate.model_source() == "modelscope"
    monkeypatch.setenv("MINERU_MODEL_SOURCE", "ftp")
    with pytest.raises(UsageError, match="'ftp'"):
        layout_weights.find_layout_weights()


def test_local_never_downloads(monkeypatch):
    monkeypatch.setenv("MINERU_MODEL_SOURCE", "local")
    assert layout_weights.find_layout_weights(download_check=verify) is None
    with pytest.raises(ModelError, match="MINERU_MODEL_SOURCE=local forbids"):
        layout_weights.download_layout_weights(verify)


def test_download(home, monkeypatch):
    """Auto tries Hugging Face, then ModelScope; the file ends in MinerU's model folder, where it is found again."""
    asked = []

    def fetch(hub: str, repo: str, folder: Path, file: str) -> None:
        asked.append(repo)
        if hub == "huggingface":
            raise OSError("name resolution\nfailed")
        put(folder / file)

    def good(path: Path) -> locate.Verification:
        return locate.Verification(True, "", "")

    monkeypatch.setattr(locate, "fetch", fetch)
    found = layout_weights.find_layout_weights(download_check=good)
    assert found == locate.FoundWeights(
        home / ".mineru/models/PDF-Extract-Kit-1.0" / PUBLISHED, "downloaded from modelscope"
    )
    assert asked == ["opendatalab/PDF-Extract-Kit-1.0", "OpenDataLab/PDF-Extract-Kit-1.0"]
    assert layout_weights.find_layout_weights().where == "MinerU's model folder"

    found.path.unlink()
    with pytest.raises(ModelError, match="huggingface: name resolution failed") as error:
        layout_weights.find_layout_weights(download_check=good, source="huggingface")
    assert "\n" not in str(error.value)


def test_a_download_that_is_not_a_model_is_an_error(home, monkeypatch):
    monkeypatch.setattr(locate, "fetch", lambda hub, repo, folder, file: put(folder / file, b"<html>"))
    with pytest.raises(ModelError, match="truncated"):
        layout_weights.download_layout_weights(verify, "huggingface")


def test_sha256(home, monkeypatch):
    path = put(home / "w.pt")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert locate.sha256(path) == digest
    assert locate.expected_sha256(path) is None
    assert not verify(path).ok  # not a model

    put(home / "w.pt.sha256", f"{digest}  w.pt\n".encode())
    assert locate.expected_sha256(path) == digest
    put(path, b"other")
    check = verify(path)
    assert not check.ok
    assert "expected " + digest in check.detail
    monkeypatch.setitem(locate.KNOWN_SHA256, "w.pt", "0" * 64)
    assert locate.expected_sha256(path) == "0" * 64
    with pytest.raises(ModelError, match="No such file"):
        locate.sha256(home / "missing")


def test_sha256_that_hugging_face_noted(home):
    digest = "ab" * 32
    blob = put(home / "hub/blobs" / digest)
    link = home / "hub/snapshots/x/w.pt"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    assert locate.expected_sha256(link) == digest

    kit = home / "PDF-Extract-Kit-1.0"
    put(kit / f".cache/huggingface/download/{PUBLISHED}.metadata", f"{'c' * 40}\n{digest}\n1.0\n".encode())
    assert locate.expected_sha256(put(kit / PUBLISHED)) == digest
