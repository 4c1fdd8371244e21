"""Finding, checking and downloading the VLM's checkpoint, without a network."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path

import pytest

from mineru_accel.cli.main import main
from mineru_accel.errors import ModelError
from mineru_accel.models import locate, vlm_weights
from mineru_accel.options import DEFAULT_VLM


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no settings from outside, no network."""
    for name in list(os.environ):
        if name.startswith(("MINERU_", "HF_", "MODELSCOPE_", "XDG_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("network touched")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(locate, "fetch", refuse)
    return folder


def put(folder: Path, cut: int = 0) -> Path:
    """A checkpoint of one little tensor, its last bytes cut off."""
    folder.mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    header = json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(16 - cut)
    (folder / "model.safetensors").write_bytes(data)
    return folder


def test_order(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vlm_weights.find_vlm() is None
    hub = ".cache/huggingface/hub/models--opendatalab--" + DEFAULT_VLM + "/snapshots/abc"
    places = [
        (home / ".cache/modelscope/hub/models/OpenDataLab" / DEFAULT_VLM.replace(".", "___"), "ModelScope's cache"),
        (home / hub, "Hugging Face's cache"),
        (home / ".mineru/models" / DEFAULT_VLM, "MinerU's model folder"),
        (tmp_path / "ours" / DEFAULT_VLM, "MINERU_ACCEL_MODELS"),
    ]
    monkeypatch.setenv("MINERU_ACCEL_MODELS", str(tmp_path / "ours"))
    for folder, where in places:
        put(folder)
        found = vlm_weights.find_vlm()
        assert found is not None and (found.path, found.where) == (folder, where)


def test_missing_is_one_line_that_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="mineru-accel models download vlm"):
        vlm_weights.require_vlm()
    monkeypatch.setenv("MINERU_MODEL_SOURCE", "local")  # never the network
    assert main(["models", "download", "vlm"]) == 1
    assert "MINERU_MODEL_SOURCE=local forbids downloads" in capsys.readouterr().err


def test_a_folder_must_hold_a_whole_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        vlm_weights.find_vlm(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        vlm_weights.find_vlm(str(tmp_path))
    with pytest.raises(ModelError, match=r"model\.safetensors is cut off"):
        vlm_weights.find_vlm(str(put(tmp_path / "cut", cut=3)))
    found = vlm_weights.find_vlm(str(put(tmp_path / "whole")))
    assert found is not None and found.where == "--vlm"


def test_download_falls_back_and_is_checked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(hub: str, repo: str, folder: Path, file: None) -> None:
        if hub == "huggingface":
            put(folder, cut=1)  # what an interrupted download leaves
            raise ConnectionError("no route")
        assert repo == f"OpenDataLab/{DEFAULT_VLM}" and (folder / "config.json").exists()  # goes on with what is there
        header = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(header + b"\0")

    monkeypatch.setattr(locate, "fetch", fetch)
    found = vlm_weights.download_vlm()
    assert found.path == home / ".mineru/models" / DEFAULT_VLM and "modelscope" in found.where
    assert (found.path / ".mineru_complete").exists()  # MinerU takes it for its own
    again = vlm_weights.find_vlm()
    assert again is not None and again.path == found.path


def test_download_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(locate, "fetch", unreachable)
    with pytest.raises(ModelError, match=r"huggingface: no route to host; modelscope: no route to host"):
        vlm_weights.download_vlm()


def test_hashes(home: Path) -> None:
    folder = put(home / ".mineru/models" / DEFAULT_VLM)
    assert vlm_weights.verify_vlm(folder).ok
    note = folder / ".cache/huggingface/download/model.safetensors.metadata"
    note.parent.mkdir(parents=True)
    note.write_text("commit\n" + "0" * 64 + "\n0.0\n")
    check = vlm_weights.verify_vlm(folder)
    assert not check.ok and "download it again" in check.detail


def test_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = put(home / ".mineru/models" / DEFAULT_VLM)
    assert main(["models", "path", "vlm"]) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    assert main(["models", "verify", "vlm"]) == 0
    assert main(["models", "list"]) == 0
    assert "vlm: MinerU's VLM" in capsys.readouterr().out
