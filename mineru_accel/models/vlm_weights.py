"""Finding the VLM's checkpoint: on this machine first, on the network only if asked.

The places, in order: the folder that was given; ``MINERU_ACCEL_MODELS``; MinerU's model folder; the caches of Hugging
Face and ModelScope; a download into MinerU's model folder, from where ``MINERU_MODEL_SOURCE`` says.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import ModelError
from ..options import DEFAULT_VLM
from . import locate
from .locate import FoundWeights, Model, Place, Verification

REPOS: dict[str, dict[str, str]] = {
    DEFAULT_VLM: {"huggingface": f"opendatalab/{DEFAULT_VLM}", "modelscope": f"OpenDataLab/{DEFAULT_VLM}"},
}
"""Repositories of the VLMs that are known by name."""
_LICENCES = {DEFAULT_VLM: "Apache-2.0"}
_COMPLETE = ".mineru_complete"
"""MinerU's mark in a folder that was downloaded to the end."""
_NEEDED = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
_TOKENIZERS = ("tokenizer.json", "vocab.json")


def find_vlm(name: str = DEFAULT_VLM) -> FoundWeights | None:
    """The checkpoint that a name or a path means; None for a known name that is nowhere. Touches no network.

    Raises:
        ModelError: a path that holds no checkpoint, or an unknown name.
    """
    path = Path(name).expanduser()
    if name not in REPOS:
        if not path.is_dir():
            known = ", ".join(REPOS)
            raise ModelError(f"--vlm {name}: no such folder, and no known name ({known})")
        if problem := incomplete(path):
            raise ModelError(f"--vlm {name}: {problem}")
        return FoundWeights(path.resolve(), "--vlm")
    return next((FoundWeights(p.path, p.where) for p in places(name) if p.path), None)


def require_vlm(name: str = DEFAULT_VLM) -> FoundWeights:
    """As :func:`find_vlm`, but raises where there is none: two gigabytes are downloaded on request only.

    Raises:
        ModelError: it is nowhere; the line says what to type.
    """
    found = find_vlm(name)
    if found is None:
        raise ModelError(
            f"no weights of the VLM {name}: type `mineru-accel models download vlm`, or pass --vlm FOLDER, or name a "
            "server with -u URL"
        )
    return found


def places(name: str = DEFAULT_VLM) -> Iterator[Place]:
    """Every place on this machine, in the order in which they count."""
    folder = locate.models_dir()
    yield Place(locate.MODELS_ENV, folder, _complete(folder / name) if folder else None)
    folder = locate.mineru_model_dir()
    yield Place("MinerU's model folder", folder, _complete(folder / name))
    snapshots = locate.huggingface_snapshots(REPOS[name]["huggingface"])
    latest_first = sorted(snapshots, key=lambda p: p.stat().st_mtime, reverse=True)
    yield Place("Hugging Face's cache", locate.huggingface_cache(), _first_complete(latest_first))
    folders = locate.modelscope_folders(REPOS[name]["modelscope"])
    yield Place("ModelScope's cache", locate.modelscope_cache(), _first_complete(folders))


def vlm_model() -> Model:
    """The default VLM, with every place where it may be."""
    repos = REPOS[DEFAULT_VLM]
    purpose = "MinerU's VLM: text, tables, formulas and pictures"
    return Model("vlm", purpose, DEFAULT_VLM, dict(repos), _LICENCES[DEFAULT_VLM], tuple(places()))


def download_vlm(name: str = DEFAULT_VLM, source: str | None = None) -> FoundWeights:
    """Download a VLM into MinerU's model folder; it goes on where an earlier download was interrupted.

    Raises:
        ModelError: the source is ``local``, an unknown name, or the download failed.
        UsageError: an unknown source.
    """
    if name not in REPOS:
        raise ModelError(f"no VLM of the name {name} is known ({', '.join(REPOS)})")
    source = locate.model_source(source)
    folder = locate.mineru_model_dir() / name
    if source == "local":
        raise ModelError(f"{locate.SOURCE_ENV}=local forbids downloads; put the checkpoint into {folder}")
    hub = locate.download("the VLM", REPOS[name], folder, lambda: verify_vlm(folder), source=source)
    with suppress(OSError):
        (folder / _COMPLETE).touch()
    return FoundWeights(folder, f"downloaded from {hub}")


def verify_vlm(folder: Path) -> Verification:
    """Check that a checkpoint is whole, and its weights' SHA-256 against the known ones.

    Raises:
        ModelError: a file can't be read.
    """
    if problem := incomplete(folder):
        return Verification(False, "", f"{folder}: {problem}")
    known, digest = 0, ""
    weights = sorted(folder.glob("*.safetensors"))
    for file in weights:
        digest = locate.sha256(file)
        expected = locate.expected_sha256(file)
        if expected and expected != digest:
            return Verification(
                False, digest, f"{file}: its SHA-256 is {digest}, expected {expected}: download it again"
            )
        known += expected is not None
    checked = "as expected" if known == len(weights) else "not known beforehand"
    return Verification(True, digest, f"complete: {len(weights)} file(s) of weights; SHA-256 {checked}")


def incomplete(folder: Path) -> str | None:
    """Why a folder is no complete checkpoint; None if it is one."""
    for name in _NEEDED:
        if not (folder / name).is_file():
            return f"is no checkpoint: {name} is missing"
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        return "is no checkpoint: the tokenizer is missing"
    names = {f.name for f in folder.glob("*.safetensors")}
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        with suppress(OSError, ValueError, AttributeError):
            if missing := set(json.loads(index.read_text("utf-8"))["weight_map"].values()) - names:
                return f"is incomplete: {sorted(missing)[0]} is missing"
    if not names:
        return "is no checkpoint: its weights (*.safetensors) are missing"
    for name in sorted(names):
        if not _whole(folder / name):
            return f"is incomplete: {name} is cut off or damaged"
    return None


def _complete(folder: Path) -> Path | None:
    return folder if folder.is_dir() and incomplete(folder) is None else None


def _first_complete(folders: Iterable[Path]) -> Path | None:
    return next(filter(None, map(_complete, folders)), None)


def _whole(file: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > 100 << 20:
                return False
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        return os.path.getsize(file) == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return False
