"""Looks up the implementation and the tile sizes for a shape, without measuring anything on the hot path.

Every op asks for a `Choice` by (op, arch, dtype, family, exact, size): `family` names what a model fixes, "C96-k5-glu",
`exact` the rest of the shape ("8x128x92"), `size` its number of rows (pixels or patches). Three tiers, most special
first, and in each the user's own measurements before the shipped ones of the same shape or bucket:

1. exact   this very shape was measured
2. bucket  the smallest measured power-of-four bucket that holds `size` (the largest there is, if none does), whoever's
3. default the family's, then the dtype's

The shipped files are `configs/<arch>/<op>.json`; the user's lie under `cache_root()/kernels/<device>/<op>.json` and are
written only by explicit tuning (`mineru-accel tune`). A user file counts only if it was written by the same kernel
sources, torch, triton and driver; anything else, damage included, is ignored and replaced by the next store.

File: {"format", "op", "stamp": {...}, "dtypes": {dtype: {"default": entry, "families": {family: {"default": entry,
"buckets": {"16384": entry}, "exact": {"8x128x92": entry}}}}}}; an entry is {"implementation", "config", "ms"}.
"""

import contextvars
import functools
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import triton

FORMAT = 1
Config = dict[str, int]
SHIPPED = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Choice:
    """An implementation ("triton", "vendor", "phase" or "hybrid"), its tile sizes, and the tier it came from."""

    implementation: str
    config: Config = field(default_factory=dict)
    tier: str = "none"


def cache_root() -> Path:
    """$MINERU_ACCEL_CACHE, else $XDG_CACHE_HOME/mineru-accel, else ~/.cache/mineru-accel."""
    if own := os.environ.get("MINERU_ACCEL_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mineru-accel"


@functools.lru_cache(maxsize=64)
def _gpu(index: int) -> tuple[str, str]:
    properties = torch.cuda.get_device_properties(index)
    if torch.version.hip:
        return properties.gcnArchName.split(":")[0], properties.name
    return f"sm_{properties.major}{properties.minor}", properties.name


def arch_of(device: torch.device) -> str:
    """ "sm_90", "gfx1100", or "cpu" (Triton's interpreter)."""
    return _gpu(device.index or 0)[0] if device.type == "cuda" else "cpu"


def device_name(device: torch.device) -> str:
    """A folder name for this arch and product: "sm_90-NVIDIA-H200"."""
    if device.type != "cuda":
        return "cpu"
    arch, name = _gpu(device.index or 0)
    return f"{arch}-" + "".join(c if c.isalnum() else "-" for c in name).strip("-")


def related_archs(arch: str) -> list[str]:
    """Arches whose shipped files serve `arch`, best first: its own, then the nearest with the same matrix unit."""
    if arch.startswith("sm_"):
        number = int(arch[3:])
        older = "sm_120" if number >= 120 else "sm_90" if 90 <= number < 120 else "sm_80"
        return [arch, older] if arch != older else [arch]
    for prefix, near in (("gfx12", "gfx1201"), ("gfx11", "gfx1100"), ("gfx9", "gfx942")):
        if arch.startswith(prefix):
            return [arch, near] if arch != near else [arch]
    return [arch]


def bucket(size: int) -> int:
    """The smallest power of four that is at least `size`, and at least 1024."""
    limit = 1024
    while limit < size:
        limit *= 4
    return limit


_SOURCES = {"patch_embed_uint8": "patch_embed"}
"""Modules of ops that have another name."""


@functools.lru_cache(maxsize=16)
def source_hash(op: str) -> str:
    """Hash of the op's kernel source and what it includes; measurements of another source don't count."""
    digest = hashlib.sha256()
    for name in ("_tile", _SOURCES.get(op, op)):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def stamp(op: str) -> dict[str, Any]:
    """The versions that a measurement depends on. (The device names the folder.)"""
    version = getattr(torch._C, "_cuda_getDriverVersion", None)
    driver = torch.version.hip or (version() if version and torch.cuda.is_available() else None)
    return {"kernels": source_hash(op), "torch": torch.__version__, "triton": triton.__version__, "driver": driver}


def user_file(op: str, device: torch.device) -> Path:
    """Where this device's own measurements of `op` lie."""
    return cache_root() / "kernels" / device_name(device) / f"{op}.json"


def _read(path: Path, op: str, expected: dict[str, Any] | None) -> dict[str, Any]:
    """The file's entries by dtype; none if it is missing, damaged, or stamped by other versions than `expected`."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != FORMAT or data["op"] != op or (expected is not None and data["stamp"] != expected):
            return {}
        dtypes = data["dtypes"]
        for by_dtype in dtypes.values():
            entries = [by_dtype["default"]] if "default" in by_dtype else []
            for tiers in by_dtype.get("families", {}).values():
                entries += [*tiers.get("exact", {}).values(), *tiers.get("buckets", {}).values()]
                entries += [tiers["default"]] if "default" in tiers else []
                for limit in tiers.get("buckets", {}):
                    int(limit)
            for entry in entries:
                _entry(entry, "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return dtypes


def _entry(raw: dict[str, Any], tier: str) -> Choice:
    config = {str(k): int(v) for k, v in raw.get("config", {}).items()}
    return Choice(str(raw["implementation"]), config, tier)


_FORCED: contextvars.ContextVar[Choice | None] = contextvars.ContextVar("accel_kernels_forced", default=None)


@contextmanager
def forced(choice: Choice) -> Iterator[None]:
    """Every lookup inside, in this thread or task, answers `choice`: for tuning and tests."""
    token = _FORCED.set(choice)
    try:
        yield
    finally:
        _FORCED.reset(token)


class ShapeCache:
    """Looks choices up and stores measured ones. Thread-safe; several processes may share the user's files."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
        self._choices: dict[tuple[object, ...], Choice | None] = {}

    def lookup(
        self, op: str, device: torch.device, dtype: torch.dtype, family: str, exact: str, size: int
    ) -> Choice | None:
        """The choice for a shape, or None if neither the user nor this arch's shipped files know the dtype."""
        if (forced := _FORCED.get()) is not None:
            return forced
        key = (op, device, dtype, family, exact, size)
        try:
            return self._choices[key]
        except KeyError:
            pass
        choice = self._search(self._table(op, device), str(dtype).removeprefix("torch."), family, exact, size)
        if len(self._choices) > 4096:
            self._choices.clear()
        self._choices[key] = choice
        return choice

    def _table(self, op: str, device: torch.device) -> list[tuple[str, dict[str, Any]]]:
        key = (op, device_name(device))
        with self._lock:
            if key not in self._tables:
                tables = [("user", _read(user_file(op, device), op, stamp(op)))]
                for arch in related_archs(arch_of(device)):
                    tables.append((f"shipped {arch}", _read(SHIPPED / arch / f"{op}.json", op, None)))
                self._tables[key] = tables
            return self._tables[key]

    @staticmethod
    def _search(
        tables: list[tuple[str, dict[str, Any]]], dtype: str, family: str, exact: str, size: int
    ) -> Choice | None:
        found = [(who, t[dtype].get("families", {}).get(family, {}), t[dtype]) for who, t in tables if dtype in t]
        for who, tiers, _ in found:
            if exact in tiers.get("exact", {}):
                return _entry(tiers["exact"][exact], f"{who} exact")
        limits = sorted({int(limit) for _, tiers, _ in found for limit in tiers.get("buckets", {})})
        if limits:
            limit = next((limit for limit in limits if limit >= size), limits[-1])
            who, tiers = next((who, t) for who, t, _ in found if str(limit) in t.get("buckets", {}))
            return _entry(tiers["buckets"][str(limit)], f"{who} bucket {limit}")
        for who, tiers, whole in found:
            for level, where in (("family", tiers), ("dtype", whole)):
                if "default" in where:
                    return _entry(where["default"], f"{who} {level} default")
        return None

    def store(
        self,
        op: str,
        device: torch.device,
        dtype: torch.dtype,
        family: str,
        exact: str,
        size: int,
        entry: dict[str, Any],
    ) -> Path:
        """Remember a measured entry for this exact shape and its bucket; returns the file.

        Other processes' entries are kept: the file is read, merged and replaced under a lock.
        """
        path = user_file(op, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            expected = stamp(op)
            dtypes = _read(path, op, expected)
            families = dtypes.setdefault(str(dtype).removeprefix("torch."), {}).setdefault("families", {})
            tiers = families.setdefault(family, {})
            tiers.setdefault("exact", {})[exact] = entry
            tiers.setdefault("buckets", {})[str(bucket(size))] = entry
            write_json(path, {"format": FORMAT, "op": op, "stamp": expected, "dtypes": dtypes})
        self.reload()
        return path

    def reload(self) -> None:
        """Forget what was read, so that the next lookup reads the files again."""
        with self._lock:
            self._tables.clear()
            self._choices.clear()


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace `path` at once: readers see the old file or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1, sort_keys=True)
            stream.write("\n")
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` between processes; where the platform has no flock, hold nothing."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield  # closing the file releases the lock


SHAPES = ShapeCache()
