"""Where the layout weights are: on this machine first, on the network only if asked.

The places, in order: the path that was given; the folder ``MINERU_ACCEL_MODELS``; MinerU's model folder; weights that
come with this package; the caches of Hugging Face and ModelScope; a download, if allowed, from where
``MINERU_MODEL_SOURCE`` says (``auto``: Hugging Face, then ModelScope; ``local``: never).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mineru_accel.errors import ModelError, UsageError

MODELS_ENV = "MINERU_ACCEL_MODELS"
SOURCE_ENV = "MINERU_MODEL_SOURCE"
SOURCES = ("auto", "huggingface", "modelscope", "local")

LAYOUT_FILE = "models/Layout/YOLO/doclayout_yolo_docstructbench_imgsz1280_2501.pt"
LAYOUT_REPOS = {
    "huggingface": "opendatalab/PDF-Extract-Kit-1.0",
    "modelscope": "OpenDataLab/PDF-Extract-Kit-1.0",
}
LAYOUT_FOLDER = "PDF-Extract-Kit-1.0"
"""The repository's folder inside MinerU's model folder."""
EMBEDDED = Path(__file__).parents[1] / "layout" / "weights"
NO_LAYOUT_WEIGHTS = (
    "no layout weights found: type `mineru-accel models download`, or pass --layout-weights FILE, or --layout native"
)

KNOWN_SHA256: dict[str, str] = {}
"""SHA-256 by file name, for files that must be exactly one thing."""


@dataclass(frozen=True, slots=True)
class Found:
    """Weights, and how they came to be chosen."""

    path: Path
    where: str
    """The place, in words: ``--layout-weights``, ``MinerU's model folder``, ``embedded in the package``, ..."""

    def __str__(self) -> str:
        return f"{self.path} ({self.where})"


@dataclass(frozen=True, slots=True)
class Place:
    """One place weights may be, whether or not they are there."""

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
    def found(self) -> Found | None:
        """The weights that would be used."""
        return next((Found(p.path, p.where) for p in self.places if p.path), None)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a file is what it should be."""

    ok: bool
    sha256: str
    detail: str


def find_layout_weights(
    explicit: Path | str | None = None, *, allow_download: bool = False, source: str | None = None
) -> Found | None:
    """Find the layout model's vlm_weights.

    Args:
        explicit: A file that was asked for; nothing else will do.
        allow_download: Whether the network may be used when they are nowhere on this machine.
        source: Overrides ``MINERU_MODEL_SOURCE``.

    Returns:
        The weights and where they were found; None if they are nowhere.

    Raises:
        ModelError: the explicit file does not exist, or the download failed.
        UsageError: an unknown source.
    """
    if explicit is not None:
        path = Path(explicit).expanduser()
        if not path.is_file():
            raise ModelError(f"layout weights {path}: no such file")
        return Found(path, "--layout-weights")
    source = model_source(source)
    for place in layout_places():
        if place.path:
            return Found(place.path, place.where)
    if allow_download and source != "local":
        return download_layout_weights(source)
    return None


def require_layout_weights(
    explicit: Path | str | None = None, *, allow_download: bool = False, source: str | None = None
) -> Found:
    """As :func:`find_layout_weights`, but raises where there are none.

    Raises:
        ModelError: none found; the line says what to type.
        UsageError: an unknown source.
    """
    found = find_layout_weights(explicit, allow_download=allow_download, source=source)
    if found is None:
        raise ModelError(NO_LAYOUT_WEIGHTS)
    return found


def list_models() -> list[Model]:
    """The models this package looks for by itself, and every place it looks in."""
    from . import vlm_weights

    return [
        Model(
            name="layout",
            purpose="DocLayout-YOLO: the regions of a page",
            file=LAYOUT_FILE,
            repos=dict(LAYOUT_REPOS),
            licence="AGPL-3.0",
            places=tuple(layout_places()),
        ),
        vlm_weights.listed(),
    ]


def layout_places() -> Iterator[Place]:
    """Every place on this machine, in the order in which they count. Touches no network."""
    folder = _env_path(MODELS_ENV)
    yield Place(MODELS_ENV, folder, folder and _search(folder))
    folder = mineru_model_dir()
    yield Place("MinerU's model folder", folder, _search(folder))
    folder = _mineru2_model_dir()
    yield Place("MinerU 2's mineru.json", folder, folder and _search(folder))
    yield Place("embedded in the package", EMBEDDED, next(iter(sorted(EMBEDDED.glob("*.safetensors"))), None))
    folder = _huggingface_cache()
    repo = "models--" + LAYOUT_REPOS["huggingface"].replace("/", "--")
    yield Place(
        "Hugging Face's cache", folder, next(iter(sorted(folder.glob(f"{repo}/snapshots/*/{LAYOUT_FILE}"))), None)
    )
    folder = _env_path("MODELSCOPE_CACHE") or Path("~/.cache/modelscope").expanduser()
    owner, name = LAYOUT_REPOS["modelscope"].split("/")
    names = [f"{owner}/{name}", f"{owner}/{name.replace('.', '___')}"]
    roots = [folder / prefix / n for prefix in ("hub/models", "models", "hub", "") for n in names]
    yield Place("ModelScope's cache", folder, next((f for r in roots if (f := r / LAYOUT_FILE).is_file()), None))


def model_source(source: str | None = None) -> str:
    """Where downloads come from: the argument, ``MINERU_MODEL_SOURCE``, MinerU's configuration, or ``auto``.

    Raises:
        UsageError: not one of ``SOURCES``.
    """
    chosen = source or os.environ.get(SOURCE_ENV) or _mineru_config().get("source") or "auto"
    chosen = str(chosen).strip().lower()
    if chosen not in SOURCES:
        raise UsageError(f"model source {chosen!r}: expected one of {', '.join(SOURCES)}")
    return chosen


def mineru_home() -> Path:
    """MinerU's folder: ``MINERU_HOME`` or ``~/.mineru``."""
    return _env_path("MINERU_HOME") or Path("~/.mineru").expanduser()


def mineru_model_dir() -> Path:
    """Where MinerU 4 keeps models: ``MINERU_MODEL_BASE_DIR``, its configuration file, or ``models`` in its folder."""
    configured = _env_path("MINERU_MODEL_BASE_DIR") or _mineru_config().get("base_dir")
    return Path(str(configured)).expanduser() if configured else mineru_home() / "models"


def download_layout_weights(source: str | None = None) -> Found:
    """Download the published layout weights into MinerU's model folder.

    Raises:
        ModelError: the source is ``local``, or the download failed.
        UsageError: an unknown source.
    """
    source = model_source(source)
    folder = mineru_model_dir() / LAYOUT_FOLDER
    if source == "local":
        raise ModelError(f"{SOURCE_ENV}=local forbids downloads; put the file at {folder / LAYOUT_FILE}")
    failures = []
    for name in ("huggingface", "modelscope") if source == "auto" else (source,):
        fetch = _from_huggingface if name == "huggingface" else _from_modelscope
        try:
            fetch(LAYOUT_REPOS[name], LAYOUT_FILE, folder)
        except Exception as exc:  # network libraries raise anything
            failures.append(f"{name}: {' '.join(str(exc).split())[:200] or type(exc).__name__}")
            continue
        found = Found(folder / LAYOUT_FILE, f"downloaded from {name}")
        if (check := verify(found.path)).ok:
            return found
        failures.append(f"{name}: {check.detail}")
    raise ModelError(f"can't download the layout weights ({'; '.join(failures)})")


def verify(path: Path) -> Verification:
    """Check a file's SHA-256, if one is known for it, and that it loads as a layout model.

    Raises:
        ModelError: the file can't be read.
    """
    from mineru_accel.layout.checkpoint import load_checkpoint
    from mineru_accel.layout.network.architecture import build_graph

    actual, wanted = sha256(path), expected_sha256(path)
    if wanted and actual != wanted:
        return Verification(False, actual, f"{path}: its SHA-256 is {actual}, expected {wanted}: download it again")
    try:
        checkpoint = load_checkpoint(path)
        build_graph(checkpoint)
    except ModelError as exc:
        return Verification(False, actual, str(exc))
    loads = f"loads: scale {checkpoint.scale}, {len(checkpoint.classes)} classes, imgsz {checkpoint.imgsz}"
    return Verification(True, actual, f"{loads}; SHA-256 {'as expected' if wanted else 'not known beforehand'}")


def sha256(path: Path) -> str:
    """A file's SHA-256.

    Raises:
        ModelError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ModelError(f"{path}: {exc.strerror or exc}") from exc


def expected_sha256(path: Path) -> str | None:
    """What is known of a file's SHA-256: ours, a ``.sha256`` beside it, or what Hugging Face noted at download."""
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


def _search(folder: Path) -> Path | None:
    """Layout weights in a model folder: at the published path, or loose under a telling name."""
    for path in (folder / LAYOUT_FOLDER / LAYOUT_FILE, folder / LAYOUT_FILE, folder / Path(LAYOUT_FILE).name):
        if path.is_file():
            return path
    for pattern in ("layout/*.safetensors", "layout/*.pt", "doclayout*.safetensors", "doclayout*.pt"):
        if files := sorted(folder.glob(pattern)):
            return files[0]
    return None


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


def _mineru2_model_dir() -> Path | None:
    """Where MinerU 2's ``mineru.json`` says the pipeline's models are."""
    path = Path("~").expanduser() / (os.environ.get("MINERU_TOOLS_CONFIG_JSON") or "mineru.json")
    with suppress(OSError, ValueError, AttributeError):
        folder = json.loads(path.read_text("utf-8")).get("models-dir", {}).get("pipeline")
        return Path(folder).expanduser() if folder else None
    return None


def _huggingface_cache() -> Path:
    if cache := _env_path("HF_HUB_CACHE"):
        return cache
    if home := _env_path("HF_HOME"):
        return home / "hub"
    return (_env_path("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "huggingface" / "hub"


def _from_huggingface(repo: str, file: str, folder: Path) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(repo, file, local_dir=folder)


def _from_modelscope(repo: str, file: str, folder: Path) -> None:
    from modelscope import snapshot_download

    snapshot_download(repo, local_dir=str(folder), allow_patterns=[file])
