"""``mineru-accel models``."""

from __future__ import annotations

from ..errors import EXIT_FAILED, EXIT_OK
from ..layout.verify import verify
from ..models.catalogue import list_models
from ..models.layout_weights import download_layout_weights, require_layout_weights
from ..models.vlm_weights import download_vlm, require_vlm, verify_vlm


def run(action: str, model: str | None, source: str | None) -> int:
    """Do what ``models ACTION [MODEL]`` says.

    Raises:
        ModelError: if there is no such model or it can't be fetched.
    """
    if action == "path":
        print((require_vlm() if model == "vlm" else require_layout_weights()).path)
        return EXIT_OK
    if action == "download":
        print(download_vlm(source=source) if model == "vlm" else download_layout_weights(verify, source))
        return EXIT_OK
    if action == "verify":
        return _verify(model)
    for known in list_models():
        print(f"{known.name}: {known.purpose} ({known.licence})")
        for place in known.places:
            found = str(place.path) if place.path else "-" if place.folder else "not set"
            print(f"  {place.where:<28} {found}")
        print(f"  in use: {known.found or 'none'}")
    return EXIT_OK


def _verify(model: str | None) -> int:
    good = True
    for known in list_models():
        if model not in (None, known.name):
            continue
        for path in dict.fromkeys(p.path for p in known.places if p.path):
            result = (verify_vlm if known.name == "vlm" else verify)(path)
            good &= result.ok
            print(f"{'ok ' if result.ok else 'BAD'} {path}: {result.detail} (sha256 {result.sha256[:16]}...)")
    return EXIT_OK if good else EXIT_FAILED
