"""Layout checkpoints as plain numpy: published ``.pt`` files and our own ``.safetensors``.

Needs neither torch nor doclayout_yolo. Both kinds give the same :class:`Checkpoint`.

The safetensors header holds, as strings: ``format`` (``mineru-accel-layout/1``), ``classes`` (JSON list),
``yaml`` (JSON: the architecture), ``scale``, ``imgsz``, ``bn_eps``, and the metadata that it was saved with (training
data, metrics, licence, git commit).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .torch_zip import CheckpointError, Stub, read_torch_zip

__all__ = ["Checkpoint", "CheckpointError", "convert_checkpoint", "load_checkpoint", "save_safetensors"]

FORMAT = "mineru-accel-layout/1"
DEFAULT_IMGSZ = 1024
DEFAULT_BN_EPS = 1e-3
"""doclayout_yolo's value for every BatchNorm2d."""


@dataclass(slots=True)
class Checkpoint:
    """A layout model's weights and what is needed to build its graph."""

    state: dict[str, np.ndarray]
    """Tensors by their names in torch's ``state_dict()`` (``model.0.conv.weight``), batch norms not folded."""
    classes: tuple[str, ...]
    """Class names by id."""
    yaml: dict[str, Any]
    """The architecture: ``backbone``, ``head``, ``scales``, ``scale``, ``nc``, as doclayout_yolo writes it."""
    imgsz: int = DEFAULT_IMGSZ
    """Longest side of the model's input, in pixels."""
    bn_eps: float = DEFAULT_BN_EPS
    source: Path | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def scale(self) -> str:
        """The scale's letter (``n``, ``s``, ``m``, ...), or "" if the yaml has none."""
        return str(self.yaml.get("scale") or next(iter(self.yaml.get("scales") or {}), ""))

    @property
    def parameters(self) -> int:
        """Number of values in the checkpoint, both heads and BN statistics included."""
        return sum(v.size for v in self.state.values())


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Load a ``.pt`` (as doclayout_yolo saves it) or ``.safetensors`` checkpoint.

    Raises:
        CheckpointError: if it is missing, damaged, refused, or not a layout checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    if path.suffix in (".pt", ".pth"):
        return _load_pt(path)
    raise CheckpointError(f"{path}: expected a .pt or .safetensors file")


def save_safetensors(
    path: Path | str,
    state: Mapping[str, np.ndarray],
    *,
    yaml: Mapping[str, Any],
    classes: tuple[str, ...] | list[str],
    imgsz: int,
    dtype: Literal["float16", "float32"] = "float16",
    bn_eps: float = DEFAULT_BN_EPS,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a checkpoint atomically; floats as ``dtype``, BN's ``num_batches_tracked`` left out.

    Raises:
        CheckpointError: if a value doesn't fit into ``dtype``, or the file can't be written.
    """
    from safetensors.numpy import save

    path = Path(path)
    tensors: dict[str, np.ndarray] = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        # BN statistics are few and small or large: rounding them costs accuracy and saves nothing.
        exact = name.endswith(("running_mean", "running_var"))
        with np.errstate(over="ignore"):
            tensors[name] = np.ascontiguousarray(value, np.float32 if exact else dtype)
        if not np.isfinite(tensors[name]).all():
            raise CheckpointError(f"{path}: {name} has values that don't fit into {dtype}")
    yaml = {k: v for k, v in yaml.items() if k != "yaml_file"}
    header = {
        **(metadata or {}),
        "format": FORMAT,
        "classes": json.dumps(list(classes)),
        "yaml": json.dumps(yaml),
        "scale": str(yaml.get("scale") or ""),
        "imgsz": str(imgsz),
        "bn_eps": repr(bn_eps),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_bytes(save(tensors, header))
        partial.replace(path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: {exc.strerror or exc}") from exc


def convert_checkpoint(
    source: Path | str,
    target: Path | str,
    *,
    dtype: Literal["float16", "float32"] = "float16",
    metadata: Mapping[str, str] | None = None,
) -> Checkpoint:
    """Rewrite a ``.pt`` checkpoint as ``.safetensors``: smaller, faster to load, nothing to unpickle.

    Raises:
        CheckpointError: as :func:`load_checkpoint` and :func:`save_safetensors`.
    """
    ckpt = load_checkpoint(source)
    save_safetensors(
        target, ckpt.state, yaml=ckpt.yaml, classes=ckpt.classes, imgsz=ckpt.imgsz, dtype=dtype,
        bn_eps=ckpt.bn_eps, metadata={**ckpt.metadata, **(metadata or {})},
    )  # fmt: skip
    return load_checkpoint(target)


def _load_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, TypeError) as exc:
        raise CheckpointError(f"{path}: damaged or truncated safetensors file ({exc})") from exc
    try:
        if header.pop("format") != FORMAT:
            raise CheckpointError(f"{path}: a safetensors file of another format than {FORMAT}")
        classes = tuple(json.loads(header.pop("classes")))
        yaml = json.loads(header.pop("yaml"))
        imgsz, bn_eps = int(header.pop("imgsz")), float(header.pop("bn_eps"))
    except CheckpointError:
        raise
    except (KeyError, ValueError, TypeError) as exc:
        raise CheckpointError(f"{path}: not a layout checkpoint (bad or missing header field: {exc})") from exc
    return Checkpoint(state, classes, yaml, imgsz, bn_eps, path, header)


def _load_pt(path: Path) -> Checkpoint:
    raw = read_torch_zip(path)
    if isinstance(raw, Stub):  # a pickled YOLO wrapper
        raw = {"model": vars(raw).get("model")}
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path}: not a layout checkpoint (no model in it)")
    model = raw["ema"] if raw.get("ema") is not None else raw.get("model")  # as attempt_load_weights chooses
    yaml = vars(model).get("yaml") if isinstance(model, Stub) else None
    if not isinstance(model, Stub) or not isinstance(yaml, dict):
        raise CheckpointError(f"{path}: not a layout checkpoint (no YOLO model object in it)")
    nc = int(yaml.get("nc") or 0)
    names = vars(model).get("names") or {}
    if isinstance(names, (list, tuple)):
        names = dict(enumerate(names))
    args = raw.get("train_args")
    metadata = {k: str(raw[k]) for k in ("date", "version") if isinstance(raw.get(k), str)}
    return Checkpoint(
        state=dict(_state(model, "")),
        classes=tuple(str(names.get(i, i)) for i in range(nc)),
        yaml=yaml,
        imgsz=_imgsz(path, args if isinstance(args, dict) else {}),
        bn_eps=_bn_eps(model, path),
        source=path,
        metadata=metadata,
    )


def _state(module: Stub, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    """Walk a module tree in the order of torch's ``state_dict()``."""
    attrs = vars(module)
    transient = attrs.get("_non_persistent_buffers_set") or ()
    for kind in ("_parameters", "_buffers"):
        for name, value in (attrs.get(kind) or {}).items():
            if isinstance(value, np.ndarray) and name not in transient:
                yield prefix + name, value
    for name, child in (attrs.get("_modules") or {}).items():
        if isinstance(child, Stub):
            yield from _state(child, f"{prefix}{name}.")


def _modules(module: Stub) -> Iterator[Stub]:
    yield module
    for child in (vars(module).get("_modules") or {}).values():
        if isinstance(child, Stub):
            yield from _modules(child)


def _bn_eps(model: Stub, path: Path) -> float:
    found = {float(vars(m).get("eps", 1e-5)) for m in _modules(model) if m.qualname.endswith(".BatchNorm2d")}
    if len(found) > 1:
        raise CheckpointError(f"{path}: its BatchNorm layers differ in eps ({sorted(found)}), which is not supported")
    return found.pop() if found else DEFAULT_BN_EPS


def _imgsz(path: Path, train_args: Mapping[str, Any]) -> int:
    """Longest side of the network's input.

    The file's name (``..._imgsz1280_2501.pt``) goes before the training's arguments: it says at which size the weights
    are meant to be used.
    """
    named = re.search(r"imgsz(\d{3,4})", path.name)
    size = named[1] if named else train_args.get("imgsz")
    if isinstance(size, (list, tuple)) and size:
        size = max(size)
    try:
        return int(size) if size else DEFAULT_IMGSZ
    except (TypeError, ValueError):
        return DEFAULT_IMGSZ
