"""The plan of a run: back end, layout and engine, and the reason for them. Decides what ``auto`` means here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..hardware import gpus
from ..hardware.packages import is_installed
from ..options import Backend, Engine, Layout, Options


@dataclass(frozen=True, slots=True)
class Plan:
    """How every page of a run is converted."""

    backend: Backend
    layout: Layout
    reason: str
    """One line for people."""
    weights: Path | None = None
    """The layout model's weights; None without one."""
    engine: Engine | None = None
    """The engine of the VLM; None without a VLM."""
    vlm: Path | None = None
    """The VLM's checkpoint; None where a server has it."""

    @property
    def effort(self) -> str:
        """MinerU's name for this kind of plan (in ``_middle.json``): ``flash`` has no layout model, ``medium`` has one,
        ``high`` has a VLM for what needs one, ``xhigh`` for everything."""
        if self.engine:
            return "high" if self.backend is Backend.HYBRID else "xhigh"
        return "flash" if self.layout is Layout.NATIVE else "medium"


def make_plan(options: Options) -> Plan:
    """Decide how to convert.

    Raises:
        UsageError: if what was asked for contradicts itself.
        ModelError: if a model that was asked for is not there.
    """
    backend = options.backend
    wanted = backend in (Backend.VLM, Backend.HYBRID)
    if options.layout is Layout.VLM and backend is not Backend.VLM:
        raise UsageError("--layout vlm goes with -b vlm")
    if wanted and options.layout is Layout.NATIVE:
        raise UsageError(f"--layout native goes without a VLM: -b {backend} needs regions")
    if not wanted and backend is Backend.PIPELINE and (options.urls or options.engine is not Engine.AUTO):
        raise UsageError("-b pipeline uses no VLM: leave out --url and --engine, or choose -b hybrid or vlm")
    if wanted:
        return _with_vlm(options, backend, *_engine(options))
    why_not = ""
    if backend is Backend.AUTO and options.layout is not Layout.NATIVE:
        if options.urls or options.engine is not Engine.AUTO:
            return _with_vlm(options, Backend.HYBRID, *_engine(options))
        found = _spare_engine(options)
        if isinstance(found, str):
            why_not = f"; no VLM: {found}"
        else:
            return _with_vlm(options, Backend.HYBRID, *found)
    return _without_vlm(options, why_not)


def _without_vlm(options: Options, why_not: str) -> Plan:
    if options.layout is Layout.NATIVE:
        return Plan(Backend.PIPELINE, Layout.NATIVE, "pipeline, native layout: asked for")
    weights, where = _layout_weights(options)
    if weights is None:
        reason = "pipeline, native layout (model-free): no weights of DocLayout-YOLO found"
        return Plan(Backend.PIPELINE, Layout.NATIVE, reason + why_not)
    reason = f"pipeline, DocLayout-YOLO ({where}){why_not}"
    return Plan(Backend.PIPELINE, Layout.DOCLAYOUT_YOLO, reason, weights)


def _with_vlm(options: Options, backend: Backend, engine: Engine, vlm: Path | None) -> Plan:
    from ..errors import ModelError
    from ..models.layout_weights import NO_LAYOUT_WEIGHTS

    what = f"VLM {vlm.name} in {engine}" if vlm else f"VLM at {', '.join(options.urls)}"
    if options.layout is Layout.VLM:
        return Plan(backend, Layout.VLM, f"{backend}, its own layout, {what}", None, engine, vlm)
    weights, where = _layout_weights(options)
    if weights is None:
        raise ModelError(NO_LAYOUT_WEIGHTS)
    reason = f"{backend}, DocLayout-YOLO ({where}), {what}"
    return Plan(backend, Layout.DOCLAYOUT_YOLO, reason, weights, engine, vlm)


def _layout_weights(options: Options) -> tuple[Path | None, str]:
    from ..layout.verify import verify
    from ..models.layout_weights import find_layout_weights, require_layout_weights

    if options.layout is Layout.DOCLAYOUT_YOLO:  # only who asks for it by name may cause a download
        found = require_layout_weights(options.layout_weights, download_check=None if options.offline else verify)
    else:
        maybe = find_layout_weights(options.layout_weights)
        if maybe is None:
            return None, ""
        found = maybe
    return found.path, found.where


def _engine(options: Options) -> tuple[Engine, Path | None]:
    """The engine that was asked for, or the best that is installed, and its checkpoint.

    Raises:
        UsageError: if it can't be used.
        ModelError: if it has no checkpoint.
    """
    from ..models.vlm_weights import require_vlm

    engine = options.engine
    if options.urls:
        if engine not in (Engine.AUTO, Engine.HTTP):
            raise UsageError(f"--engine {engine} runs the VLM itself: leave out --url")
        return Engine.HTTP, None
    if engine is Engine.HTTP:
        raise UsageError("--engine http: name a server with -u http://host:port")
    if engine is Engine.AUTO:
        if is_installed("vllm"):
            engine = Engine.VLLM
        elif is_installed("transformers") and is_installed("torch"):
            engine = Engine.TRANSFORMERS
        else:
            raise UsageError(
                "no engine for the VLM is installed: pip install 'mineru-accel[vllm]', or name a server with -u URL"
            )
    for package in ("vllm",) if engine is Engine.VLLM else ("torch", "transformers"):
        if not is_installed(package):
            extra = "vllm" if engine is Engine.VLLM else "torch"
            raise UsageError(f"--engine {engine} needs {package}: pip install 'mineru-accel[{extra}]'")
    return engine, require_vlm(options.vlm).path


def _spare_engine(options: Options) -> tuple[Engine, Path] | str:
    """An engine with weights and a GPU that ``auto`` may use without being asked, or why there is none."""
    from ..models.vlm_weights import find_vlm

    found = find_vlm(options.vlm)
    if found is None:
        return "no weights"
    if not is_installed("vllm"):
        return "vLLM is not installed"
    if options.device == "cpu" or not gpus.usable():
        return "no GPU"
    return Engine.VLLM, found.path
