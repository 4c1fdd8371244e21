import json
import subprocess
import sys
import threading

import pytest
import torch
from common import PATIENCE, ROOT

CPU = torch.device("cpu")
ENTRY = {"implementation": "triton", "config": {"BM": 64}, "ms": 0.5}


@pytest.fixture
def cache():
    from accel_kernels.shape_cache import ShapeCache

    return ShapeCache()


def store(cache, exact="8x128x92", size=94208, entry=ENTRY, family="C96"):
    return cache.store("dilated_conv2d", CPU, torch.float16, family, exact, size, entry)


def lookup(cache, exact="8x128x92", size=94208, family="C96", dtype=torch.float16):
    return cache.lookup("dilated_conv2d", CPU, dtype, family, exact, size)


def test_three_tiers(cache):
    assert lookup(cache) is None
    store(cache)
    store(cache, "1x8x8", 64, {**ENTRY, "config": {"BM": 16}})
    assert (lookup(cache).config, lookup(cache).tier) == ({"BM": 64}, "user exact")
    assert lookup(cache, "7x1x9", 63).config == {"BM": 16}  # smallest bucket that holds it
    assert lookup(cache, "9x9x9", 70_000).config == {"BM": 64}
    assert lookup(cache, "many", 10**9).tier == "user bucket 262144"  # larger than any: the largest
    assert lookup(cache, family="C192") is None
    assert lookup(cache, dtype=torch.float32) is None


def test_shipped_defaults_exist_for_every_arch_and_related_ones(cache, monkeypatch):
    from accel_kernels import shape_cache

    for arch in (
        "sm_80",
        "sm_86",
        "sm_89",
        "sm_90",
        "sm_100",
        "sm_120",
        "gfx1100",
        "gfx1103",
        "gfx1151",
        "gfx1201",
        "gfx942",
    ):
        monkeypatch.setattr(shape_cache, "arch_of", lambda _, arch=arch: arch)
        for op in ("dilated_conv2d", "dilated_block", "patch_embed"):
            cache.reload()
            for dtype in (torch.float16, torch.bfloat16):
                choice = cache.lookup(op, CPU, dtype, "nothing known", "1", 1)
                assert choice is not None and choice.config and "shipped" in choice.tier, (arch, op)


def test_users_measurement_comes_before_the_shipped_one(cache, monkeypatch):
    from accel_kernels import shape_cache

    monkeypatch.setattr(shape_cache, "arch_of", lambda _: "sm_90")
    monkeypatch.setattr(shape_cache, "device_name", lambda _: "sm_90-test")
    store(cache, family="C96-N96-k5")
    assert lookup(cache, family="C96-N96-k5").tier == "user exact"


def test_small_shapes_are_not_judged_by_a_users_large_one(cache, monkeypatch):
    """Whoever tunes for large batches alone keeps what was shipped for single pages."""
    from accel_kernels import shape_cache

    monkeypatch.setattr(shape_cache, "arch_of", lambda _: "sm_90")
    monkeypatch.setattr(shape_cache, "device_name", lambda _: "sm_90-test")
    key = ("conv2d", CPU, torch.float16, "C192-N192-k1-s1")
    cache.store(*key, "32x32x96", 32 * 32 * 96, ENTRY)
    assert cache.lookup(*key, "1x40x40", 1600).tier == "shipped sm_90 bucket 16384"
    assert cache.lookup(*key, "24x32x96", 24 * 32 * 96).tier == "user bucket 262144"
    assert cache.lookup(*key, "64x32x96", 10**6).tier == "shipped sm_90 bucket 1048576"


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"format": 1}', '{"format": 1, "op": "dilated_conv2d", "dtypes": 3}']
)
def test_damaged_file_is_ignored_and_rebuilt(cache, damage):
    path = store(cache)
    path.write_text(damage)
    cache.reload()
    assert lookup(cache) is None
    store(cache)
    assert lookup(cache).config == {"BM": 64}


def test_damaged_entry_is_ignored(cache):
    path = store(cache)
    data = json.loads(path.read_text())
    data["dtypes"]["float16"]["families"]["C96"]["exact"]["8x128x92"]["config"]["BM"] = "wide"
    path.write_text(json.dumps(data))
    cache.reload()
    assert lookup(cache) is None


@pytest.mark.parametrize("key", ["kernels", "torch", "triton", "driver"])
def test_other_versions_are_ignored(cache, key):
    path = store(cache)
    data = json.loads(path.read_text())
    data["stamp"][key] = "other"
    path.write_text(json.dumps(data))
    cache.reload()
    assert lookup(cache) is None


def test_folders(monkeypatch, tmp_path):
    from accel_kernels.shape_cache import cache_root

    monkeypatch.delenv("MINERU_ACCEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "mineru-accel"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "mineru-accel"
    monkeypatch.setenv("MINERU_ACCEL_CACHE", "/elsewhere")
    assert str(cache_root()) == "/elsewhere"


def test_threads_and_processes_share_a_file(cache, device):
    """Every store of two processes and two threads each survives, and no reader sees half a file."""
    code = """
import sys, threading, torch
from accel_kernels.shape_cache import ShapeCache
cache, who = ShapeCache(), sys.argv[1]
def work(i):
    for n in range(8):
        key = ("dilated_conv2d", torch.device("cpu"), torch.float16, "C96", f"{who}-{i}-{n}", n)
        cache.store(*key, {"implementation": "vendor"})
        assert cache.lookup(*key)
threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, who], env=environment()) for who in "ab"]
    assert [p.wait(PATIENCE) for p in processes] == [0, 0]
    for who in "ab":
        for i in range(2):
            for n in range(8):
                assert lookup(cache, f"{who}-{i}-{n}", n).tier == "user exact"


def environment():
    import os
    from pathlib import Path

    import accel_kernels

    return {**os.environ, "PYTHONPATH": str(Path(accel_kernels.__file__).parents[1])}


def test_forced_choice_is_this_threads_only(cache):
    from accel_kernels.shape_cache import Choice, forced

    seen = []
    with forced(Choice("vendor")):
        assert lookup(cache) == Choice("vendor")
        thread = threading.Thread(target=lambda: seen.append(lookup(cache)))
        thread.start()
        thread.join()
    assert seen == [None] and lookup(cache) is None


def test_every_tuned_op_has_its_source() -> None:
    """Measurements of another source don't count: each op's hash is of its own file."""
    from accel_kernels import shape_cache

    ops = {path.stem for path in (ROOT / "kernels/accel_kernels/configs").rglob("*.json")}
    assert len({shape_cache.source_hash(op) for op in ops - {"patch_embed_uint8"}}) == len(ops) - 1
    assert shape_cache.source_hash("patch_embed_uint8") == shape_cache.source_hash("patch_embed")
