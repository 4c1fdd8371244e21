"""Where the VLM's checkpoint is: on this machine first, on the network only if asked.

The places, in order: the folder that was given; ``MINERU_ACCEL_MODELS``; MinerU's model folder; the caches of Hugging
Face and ModelScope; a download into MinerU's model folder, from where ``MINERU_MODEL_SOURCE`` says.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import ModelError
from ..options import DEFAULT_VLM
from . import layout_weights
from .layout_weights import Found, Model, Place, Verification

REPOS: dict[str, dict[str, str]] = {
    DEFAULT_VLM: {"huggingface": f"opendatalab/{DEFAULT_VLM}", "modelscope": f"OpenDataLab/{DEFAULT_VLM}"},
}
"""Repositories of the VLMs that are known by name."""
_LICENCES = {DEFAULT_VLM: "Apache-2.0"}
_COMPLETE = ".mineru_complete"
"""MinerU's mark in a folder that was downloaded to the end."""
_NEEDED = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
_TOKENIZERS = ("tokenizer.json", "vocab.json")


def find_vlm(name: str = DEFAULT_VLM) -> Found | None:
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
        return Found(path.resolve(), "--vlm")
    return next((Found(p.path, p.where) for p in places(name) if p.path), None)


def require_vlm(name: str = DEFAULT_VLM) -> Found:
    """As :func:`find_vlm`, but raises where there is none. Two gigabytes are only fetched by who says so.

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
    folder = layout_weights._env_path(layout_weights.MODELS_ENV)
    yield Place(layout_weights.MODELS_ENV, folder, _complete(folder / name) if folder else None)
    folder = layout_weights.mineru_model_dir()
    yield Place("MinerU's model folder", folder, _complete(folder / name))
    folder = layout_weights._huggingface_cache()
    repo = "models--" + REPOS[name]["huggingface"].replace("/", "--")
    snapshots = sorted(folder.glob(f"{repo}/snapshots/*"), key=lambda p: p.stat().st_mtime, reverse=True)
    yield Place("Hugging Face's cache", folder, next(filter(None, map(_complete, snapshots)), None))
    folder = layout_weights._env_path("MODELSCOPE_CACHE") or Path("~/.cache/modelscope").expanduser()
    owner, model = REPOS[name]["modelscope"].split("/")
    names = [f"{owner}/{model}", f"{owner}/{model.replace('.', '___')}"]
    roots = [folder / prefix / n for prefix in ("hub/models", "models", "hub", "") for n in names]
    yield Place("ModelScope's cache", folder, next(filter(None, map(_complete, roots)), None))


def listed() -> Model:
    """The default VLM, for ``mineru-accel models list``."""
    repos = REPOS[DEFAULT_VLM]
    purpose = "MinerU's VLM: text, tables, formulas and pictures"
    return Model("vlm", purpose, DEFAULT_VLM, dict(repos), _LICENCES[DEFAULT_VLM], tuple(places()))


def download_vlm(name: str = DEFAULT_VLM, source: str | None = None) -> Found:
    """Download a VLM into MinerU's model folder; what an interrupted download left is gone on with.

    Raises:
        ModelError: the source is ``local``, an unknown name, or the download failed.
        UsageError: an unknown source.
    """
    if name not in REPOS:
        raise ModelError(f"no VLM of the name {name} is known ({', '.join(REPOS)})")
    source = layout_weights.model_source(source)
    folder = layout_weights.mineru_model_dir() / name
    if source == "local":
        raise ModelError(f"{layout_weights.SOURCE_ENV}=local forbids downloads; put the checkpoint into {folder}")
    failures = []
    for place in ("huggingface", "modelscope") if source == "auto" else (source,):
        fetch = _from_huggingface if place == "huggingface" else _from_modelscope
        try:
            fetch(REPOS[name][place], folder)
        except Exception as error:  # network libraries raise anything
            failures.append(f"{place}: {' '.join(str(error).split())[:200] or type(error).__name__}")
            continue
        check = verify_vlm(folder)
        if check.ok:
            with suppress(OSError):
                (folder / _COMPLETE).touch()
            return Found(folder, f"downloaded from {place}")
        failures.append(f"{place}: {check.detail}")
    raise ModelError(f"can't download the VLM ({'; '.join(failures)})")


def verify_vlm(folder: Path) -> Verification:
    """Check that a checkpoint is whole, and its weights' SHA-256 against what is known of them.

    Raises:
        ModelError: a file can't be read.
    """
    if problem := incomplete(folder):
        return Verification(False, "", f"{folder}: {problem}")
    known, digest = 0, ""
    weights = sorted(folder.glob("*.safetensors"))
    for file in weights:
        digest = layout_weights.sha256(file)
        wanted = layout_weights.expected_sha256(file)
        if wanted and wanted != digest:
            return Verification(False, digest, f"{file}: its SHA-256 is {digest}, expected {wanted}: download it again")
        known += wanted is not None
    said = "as expected" if known == len(weights) else "not known beforehand"
    return Verification(True, digest, f"complete: {len(weights)} file(s) of weights; SHA-256 {said}")


def incomplete(folder: Path) -> str | None:
    """What a folder lacks to be a checkpoint, None if nothing."""
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


def _whole(file: Path) -> bool:
    """Is a safetensors file as long as its header says?"""
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


def _from_huggingface(repo: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(repo, local_dir=folder)


def _from_modelscope(repo: str, folder: Path) -> None:
    from modelscope import snapshot_download

    snapshot_download(repo, local_dir=str(folder))
