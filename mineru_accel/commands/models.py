"""``mineru-accel models``."""

from __future__ import annotations

from ..errors import EXIT_FAILED, EXIT_OK
from ..models import download_layout_weights, list_models, require_layout_weights, verify


def run(action: str, source: str | None) -> int:
    """Do what ``models ACTION`` says.

    Raises:
        ModelError: if there is no such model or it can't be fetched.
    """
    if action == "path":
        print(require_layout_weights().path)
        return EXIT_OK
    if action == "download":
        print(download_layout_weights(source))
        return EXIT_OK
    if action == "verify":
        return _verify()
    for model in list_models():
        print(f"{model.name}: {model.purpose} ({model.licence})")
        for place in model.places:
            found = str(place.path) if place.path else "-" if place.folder else "not set"
            print(f"  {place.where:<28} {found}")
        print(f"  in use: {model.found or 'none'}")
    return EXIT_OK


def _verify() -> int:
    good = True
    for model in list_models():
        for path in dict.fromkeys(p.path for p in model.places if p.path):
            result = verify(path)
            good &= result.ok
            print(f"{'ok ' if result.ok else 'BAD'} {path}: {result.detail} (sha256 {result.sha256[:16]}...)")
    return EXIT_OK if good else EXIT_FAILED
