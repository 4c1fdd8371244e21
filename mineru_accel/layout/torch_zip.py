"""Reads torch's zip checkpoints without torch, and without running anything they hold.

A ``.pt`` file is a zip with one pickle (``archive/data.pkl``) and one file per tensor storage
(``archive/data/<key>``). Unpickling normally imports and calls whatever the pickle names; here
every name is looked up in a short allow-list instead. Classes of torch.nn and of the model's own
package become inert :class:`Stub` objects that only keep their attributes; tensors become numpy
arrays; any other name ends the reading with a :class:`CheckpointError`.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from mineru_accel.errors import ModelError


class CheckpointError(ModelError):
    """A checkpoint can't be used; the message is one line that names the file and the cause."""


class Stub:
    """Stands in for an object whose class is not imported: its attributes and its class's name."""

    qualname = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take any arguments and forget them."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 2:  # (__dict__, slots)
            state = {**(state[0] or {}), **(state[1] or {})}
        if isinstance(state, dict):
            self.__dict__.update(state)


_STUB_PREFIXES = ("doclayout_yolo.", "ultralytics.", "torch.nn.", "numpy.", "pathlib.")
_STUB_NAMES = {
    "torch.Size", "torch.device", "torch.dtype", "torch.Generator", "types.SimpleNamespace", "argparse.Namespace",
    "functools.partial", "datetime.datetime", "datetime.date", "builtins.getattr", "__builtin__.getattr",
    *(f"torch.{d}" for d in ("float16", "float32", "float64", "bfloat16", "uint8", "int8", "int16", "int32", "int64")),
}  # fmt: skip
"""Names that become stubs. A fused model pickles its replaced ``forward`` as getattr(module, name): a stub drops it."""

_PLAIN: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    **{f"{m}.{t.__name__}": t for m in ("builtins", "__builtin__")
       for t in (set, frozenset, dict, list, tuple, int, float, complex, bool, slice)},
}  # fmt: skip


class _Function:
    """A function a pickle may call but not alter."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise CheckpointError("refused, its pickle alters a function")


_STORAGE_DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bf16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1",
    "ByteStorage": "<u1", "BoolStorage": "?",
}  # fmt: skip


def bf16_to_f32(raw: np.ndarray) -> np.ndarray:
    """Widen bfloat16 bits (uint16) to float32, exactly."""
    return (raw.astype(np.uint32) << 16).view(np.float32)


def read_torch_zip(path: Path) -> Any:
    """Read what ``torch.save`` wrote, tensors as numpy arrays (bfloat16 widened to float32).

    Raises:
        CheckpointError: if it is no torch zip file, truncated, or names something that is not allowed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path)
    except CheckpointError as exc:
        if str(path) in str(exc):
            raise
        raise CheckpointError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise CheckpointError(f"{path}: {exc.strerror or exc}") from exc
    except zipfile.BadZipFile as exc:
        raise CheckpointError(f"{path}: not a torch zip checkpoint, or truncated") from exc
    except Exception as exc:  # a pickle can break in any way
        raise CheckpointError(f"{path}: damaged checkpoint ({type(exc).__name__}: {exc})") from exc


def _read_archive(archive: zipfile.ZipFile, path: Path) -> Any:
    pickles = [n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError(f"{path}: not a torch checkpoint (no data.pkl in it)")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder").strip() != b"little":
        raise CheckpointError(f"{path}: written on a big-endian machine, which is not supported")
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{path}: {info.filename} is compressed, which torch never writes")
    with archive.open(pickles[0]) as file:
        return _Unpickler(file, archive, root, path).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, root: str, path: Path) -> None:
        super().__init__(file)
        self.archive = archive
        self.root = root
        self.path = path
        self.storages: dict[str, np.ndarray] = {}
        self.stubs: dict[str, type[Stub]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name of the pickle: never by importing it."""
        full = f"{module}.{name}"
        if full in _PLAIN:
            return _PLAIN[full]
        if full in _FUNCTIONS:
            return _FUNCTIONS[full]
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        if full in _STUB_NAMES or full.startswith(_STUB_PREFIXES):
            return self.stubs.setdefault(full, type(name.rpartition(".")[2], (Stub,), {"qualname": full}))
        raise CheckpointError(f"{self.path}: refused, its pickle names {full!r}, which no layout checkpoint needs")

    def persistent_load(self, pid: Any) -> np.ndarray:
        """Read one storage as a flat array."""
        kind, dtype, key, _location, numel = pid
        if kind != "storage" or not isinstance(dtype, str) or "/" in str(key):
            raise CheckpointError(f"{self.path}: damaged checkpoint (unknown storage)")
        if key not in self.storages:
            data = self.archive.read(f"{self.root}data/{key}")
            raw = np.frombuffer(data, "<u2" if dtype == "bf16" else dtype)
            if len(raw) < numel:
                raise CheckpointError(f"{self.path}: damaged checkpoint (storage {key} is too short)")
            self.storages[key] = bf16_to_f32(raw) if dtype == "bf16" else raw
        return self.storages[key]


def _rebuild_tensor(storage: np.ndarray, offset: int, size: Any, stride: Any, *_: Any) -> np.ndarray:
    size, stride = tuple(map(int, size)), tuple(map(int, stride))
    empty = 0 in size
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if offset < 0 or min((*size, *stride), default=0) < 0 or (not empty and last >= len(storage)):
        raise CheckpointError("a tensor reaches beyond its storage")
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, tuple(s * storage.itemsize for s in stride))
    return np.ascontiguousarray(view).reshape(size)


def _rebuild_parameter(data: np.ndarray, *_: Any) -> np.ndarray:
    return data


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """The one codec numpy's pickles of scalars use."""
    if encoding != "latin1":
        raise CheckpointError(f"refused, codec {encoding!r} in a pickle")
    return text.encode("latin1")


def _dill_type(name: str) -> Callable[..., Any]:
    """A builtin type, as dill names it: doclayout_yolo saves with dill's pickler where that is installed."""
    if name == "MethodType":  # a fused model's swapped ``forward``
        return Stub
    plain = _PLAIN.get(f"builtins.{name}")
    if plain is None:
        raise CheckpointError(f"refused, its pickle names dill's type {name!r}, which no layout checkpoint needs")
    return plain


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _Function(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": _Function(_rebuild_tensor),
    "torch._utils._rebuild_parameter": _Function(_rebuild_parameter),
    "torch._utils._rebuild_parameter_with_state": _Function(_rebuild_parameter),
    "_codecs.encode": _Function(_encode),
    "dill._dill._load_type": _Function(_dill_type),
}
