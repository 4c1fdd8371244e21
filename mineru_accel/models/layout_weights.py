"""Finding the layout weights: on this machine first, on the network only if asked.

The places, in order: the path that was given; the folder ``MINERU_ACCEL_MODELS``; MinerU's model folder; weights that
come with this package; the caches of Hugging Face and ModelScope; a download, if allowed, from where
``MINERU_MODEL_SOURCE`` says (``auto``: Hugging Face, then ModelScope; ``local``: never).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import ModelError
from . import locate
from .locate import FoundWeights, Model, Place, Verification

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

Verify = Callable[[Path], Verification]
"""Checks a downloaded file: :func:`mineru_accel.layout.verify.verify`, which loads it as a layout model."""


def find_layout_weights(
    explicit: Path | str | None = None, *, download_check: Verify | None = None, source: str | None = None
) -> FoundWeights | None:
    """Find the layout model's weights.

    Args:
        explicit: A file that was asked for; no other is considered.
        download_check: Allows a download where there are none on this machine, and checks what came; None: no download.
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
        return FoundWeights(path, "--layout-weights")
    source = locate.model_source(source)
    for place in layout_places():
        if place.path:
            return FoundWeights(place.path, place.where)
    if download_check and source != "local":
        return download_layout_weights(download_check, source)
    return None


def require_layout_weights(
    explicit: Path | str | None = None, *, download_check: Verify | None = None, source: str | None = None
) -> FoundWeights:
    """As :func:`find_layout_weights`, but raises where there are none.

    Raises:
        ModelError: none found; the line says what to type.
        UsageError: an unknown source.
    """
    found = find_layout_weights(explicit, download_check=download_check, source=source)
    if found is None:
        raise ModelError(NO_LAYOUT_WEIGHTS)
    return found


def layout_model() -> Model:
    """The layout model, with every place where it may be."""
    return Model(
        name="layout",
        purpose="DocLayout-YOLO: the regions of a page",
        file=LAYOUT_FILE,
        repos=dict(LAYOUT_REPOS),
        licence="AGPL-3.0",
        places=tuple(layout_places()),
    )


def layout_places() -> Iterator[Place]:
    """Every place on this machine, in the order in which they count. Touches no network."""
    folder = locate.models_dir()
    yield Place(locate.MODELS_ENV, folder, folder and _search(folder))
    folder = locate.mineru_model_dir()
    yield Place("MinerU's model folder", folder, _search(folder))
    folder = locate.mineru2_model_dir()
    yield Place("MinerU 2's mineru.json", folder, folder and _search(folder))
    yield Place("embedded in the package", EMBEDDED, next(iter(sorted(EMBEDDED.glob("*.safetensors"))), None))
    snapshots = locate.huggingface_snapshots(LAYOUT_REPOS["huggingface"])
    yield Place("Hugging Face's cache", locate.huggingface_cache(), _published(sorted(snapshots)))
    folders = locate.modelscope_folders(LAYOUT_REPOS["modelscope"])
    yield Place("ModelScope's cache", locate.modelscope_cache(), _published(folders))


def download_layout_weights(check: Verify, source: str | None = None) -> FoundWeights:
    """Download the published layout weights into MinerU's model folder.

    Args:
        check: Checks the downloaded file.
        source: Overrides ``MINERU_MODEL_SOURCE``.

    Raises:
        ModelError: the source is ``local``, or the download failed.
        UsageError: an unknown source.
    """
    source = locate.model_source(source)
    folder = locate.mineru_model_dir() / LAYOUT_FOLDER
    path = folder / LAYOUT_FILE
    if source == "local":
        raise ModelError(f"{locate.SOURCE_ENV}=local forbids downloads; put the file at {path}")
    hub = locate.download(
        "the layout weights", LAYOUT_REPOS, folder, lambda: check(path), source=source, file=LAYOUT_FILE
    )
    return FoundWeights(path, f"downloaded from {hub}")


def _published(folders: Iterable[Path]) -> Path | None:
    """The published file in the first of some copies of the repository that has it."""
    return next((file for folder in folders if (file := folder / LAYOUT_FILE).is_file()), None)


def _search(folder: Path) -> Path | None:
    """Layout weights in a model folder: at the published path, or loose under a telling name."""
    for path in (folder / LAYOUT_FOLDER / LAYOUT_FILE, folder / LAYOUT_FILE, folder / Path(LAYOUT_FILE).name):
        if path.is_file():
            return path
    for pattern in ("layout/*.safetensors", "layout/*.pt", "doclayout*.safetensors", "doclayout*.pt"):
        if files := sorted(folder.glob(pattern)):
            return files[0]
    return None
