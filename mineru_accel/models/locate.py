"""Places of models on this machine, SHA-256 of their files, and downloads: common to all models.

The places are those of this package, of MinerU (its folders and its configuration) and the caches of Hugging Face and
ModelScope. The network is used by :func:`download` only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, UsageError, one_line
from ..storage.digest import file_sha256

MODELS_ENV = "MINERU_ACCEL_MODELS"
SOURCE_ENV = "MINERU_MODEL_SOURCE"
SOURCES = ("auto", "huggingface", "modelscope", "local")

KNOWN_SHA256: dict[str, str] = {}
"""SHA-256 by file name, for files of which exactly one version is accepted."""


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """A model's weights, and the place where they were found."""

    path: Path
    where: str
    """The place, in words: ``--layout-weights``, ``MinerU's model folder``, ``embedded in the package``, ..."""

    def __str__(self) -> str:
        return f"{self.path} ({self.where})"


@dataclass(frozen=True, slots=True)
class Place:
    """One place where weights may be, whether or not they are there."""

    where: str
    folder: Path | None
    """None: not configured."""
    path: Path | None
    """The weights, if found."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model this package uses, for ``mineru-accel models list``."""

    name: str
    purpose: str
    file: str
    repos: dict[str, str]
    licence: str
    places: tuple[Place, ...]

    @property
    def found(self) -> FoundWeights | None:
        """The weights that would be used."""
        return next((FoundWeights(p.path, p.where) for p in self.places if p.path), None)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a file is what it should be."""

    ok: bool
    sha256: str
    detail: str


def models_dir() -> Path | None:
    """The folder named by ``MINERU_ACCEL_MODELS``; None if it is not set."""
    return _env_path(MODELS_ENV)


def mineru_home() -> Path:
    """MinerU's folder: ``MINERU_HOME`` or ``~/.mineru``."""
    return _env_path("MINERU_HOME") or Path("~/.mineru").expanduser()


def mineru_model_dir() -> Path:
    """MinerU 4's folder of models: ``MINERU_MODEL_BASE_DIR``, its configuration file, or ``models`` in its folder."""
    configured = _env_path("MINERU_MODEL_BASE_DIR") or _mineru_config().get("base_dir")
    return Path(str(configured)).expanduser() if configured else mineru_home() / "models"


def mineru2_model_dir() -> Path | None:
    """The folder of the pipeline's models in MinerU 2's ``mineru.json``; None if it names none."""
    path = Path("~").expanduser() / (os.environ.get("MINERU_TOOLS_CONFIG_JSON") or "mineru.json")
    with suppress(OSError, ValueError, AttributeError):
        folder = json.loads(path.read_text("utf-8")).get("models-dir", {}).get("pipeline")
        return Path(folder).expanduser() if folder else None
    return None


def huggingface_cache() -> Path:
    """Hugging Face's cache of repositories."""
    if cache := _env_path("HF_HUB_CACHE"):
        return cache
    if home := _env_path("HF_HOME"):
        return home / "hub"
    return (_env_path("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "huggingface" / "hub"


def huggingface_snapshots(repo: str) -> Iterator[Path]:
    """The versions of a repository in Hugging Face's cache, in no particular order."""
    return huggingface_cache().glob(f"models--{repo.replace('/', '--')}/snapshots/*")


def modelscope_cache() -> Path:
    """ModelScope's cache of repositories."""
    return _env_path("MODELSCOPE_CACHE") or Path("~/.cache/modelscope").expanduser()


def modelscope_folders(repo: str) -> list[Path]:
    """Possible folders of a repository in ModelScope's cache, whose versions differ in prefixes and in writing dots."""
    owner, name = repo.split("/")
    names = [f"{owner}/{name}", f"{owner}/{name.replace('.', '___')}"]
    return [modelscope_cache() / prefix / n for prefix in ("hub/models", "models", "hub", "") for n in names]


def model_source(source: str | None = None) -> str:
    """The source of downloads: the argument, ``MINERU_MODEL_SOURCE``, MinerU's configuration, or ``auto``.

    Raises:
        UsageError: not one of ``SOURCES``.
    """
    chosen = source or os.environ.get(SOURCE_ENV) or _mineru_config().get("source") or "auto"
    chosen = str(chosen).strip().lower()
    if chosen not in SOURCES:
        raise UsageError(f"model source {chosen!r}: expected one of {', '.join(SOURCES)}")
    return chosen


def download(
    what: str,
    repos: Mapping[str, str],
    folder: Path,
    check: Callable[[], Verification],
    *,
    source: str,
    file: str | None = None,
) -> str:
    """Download a model, from Hugging Face and, where that fails, from ModelScope.

    Args:
        what: The model, in words, for the error.
        repos: Its repositories by hub.
        folder: Where the repository's files go.
        check: Verifies what was downloaded.
        source: One of ``SOURCES``, not ``local``.
        file: The one file of the repository to fetch; None fetches all.

    Returns:
        The hub that it came from.

    Raises:
        ModelError: the download failed, or what came is not the model.
    """
    failures = []
    for hub in ("huggingface", "modelscope") if source == "auto" else (source,):
        try:
            fetch(hub, repos[hub], folder, file)
        except Exception as exc:  # network libraries raise anything
            failures.append(f"{hub}: {one_line(exc)}")
            continue
        checked = check()
        if checked.ok:
            return hub
        failures.append(f"{hub}: {checked.detail}")
    raise ModelError(f"can't download {what} ({'; '.join(failures)})")


def fetch(hub: str, repo: str, folder: Path, file: str | None) -> None:
    """Download a repository, or one file of it, into a folder; files that are there are kept."""
    if hub == "huggingface":
        import huggingface_hub

        if file is None:
            huggingface_hub.snapshot_download(repo, local_dir=folder)
        else:
            huggingface_hub.hf_hub_download(repo, file, local_dir=folder)
        return
    from modelscope import snapshot_download

    only = {} if file is None else {"allow_patterns": [file]}
    snapshot_download(repo, local_dir=str(folder), **only)


def sha256(path: Path) -> str:
    """A file's SHA-256.

    Raises:
        ModelError: the file can't be read.
    """
    try:
        return file_sha256(path)
    except OSError as exc:
        raise ModelError(f"{path}: {exc.strerror or exc}") from exc


def expected_sha256(path: Path) -> str | None:
    """The SHA-256 that a file should have, if known: ours, a ``.sha256`` beside it, or Hugging Face's note of it."""
    if path.name in KNOWN_SHA256:
        return KNOWN_SHA256[path.name]
    notes = [path.with_name(path.name + ".sha256")]
    for parent in path.parents:
        cache = parent / ".cache" / "huggingface" / "download"
        if cache.is_dir():
            notes.append(cache / f"{path.relative_to(parent)}.metadata")
            break
    for note in notes:
        with suppress(OSError, UnicodeDecodeError):
            if digest := re.search(r"\b[0-9a-f]{64}\b", note.read_text("utf-8")):
                return digest[0]
    blob = path.resolve().name  # in Hugging Face's cache a file is a link to a blob named by its digest
    return blob if re.fullmatch(r"[0-9a-f]{64}", blob) else None


def _env_path(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value).expanduser() if value else None


def _mineru_config() -> dict[str, Any]:
    """The ``model`` section of MinerU 4's configuration file; empty if there is none or it can't be read."""
    path = _env_path("MINERU_CONFIG") or mineru_home() / "config.yaml"
    if not path.is_file():
        return {}
    import yaml

    with suppress(OSError, ValueError, yaml.YAMLError, AttributeError):
        section = yaml.safe_load(os.path.expandvars(path.read_text("utf-8"))).get("model")
        return section if isinstance(section, dict) else {}
    return {}
