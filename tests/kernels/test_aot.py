"""Every kernel compiles for GPUs that are not here, with matrix instructions and without spills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "kernels"
INSTRUCTION = {
    "sm_8": "mma.sync",
    "sm_9": "wgmma",
    "sm_1": "mma.sync",
    "gfx11": "v_wmma",
    "gfx12": "v_wmma",
    "gfx9": "v_mfma",
}
NO_PRODUCTS = {"letterbox", "conv2d_epilogue", "depthwise_conv2d", "max_pool2d"}
OPS = {"conv2d", "dilated_conv2d", "dilated_block", "patch_embed", "patch_embed_uint8", "image_conv2d", *NO_PRODUCTS}


def compile_all(tmp_path, *options):
    """In a process of its own: under the interpreter the kernels are Python functions."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(PACKAGE), "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "accel_kernels.aot", "--json", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.stdout, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(rows, archs):
    from accel_kernels.aot import SHARED_LIMIT

    for row in rows:
        wanted = next(text for prefix, text in INSTRUCTION.items() if row["arch"].startswith(prefix))
        products = row["dtype"] != "float32" and row["op"] not in NO_PRODUCTS
        assert not products or any(wanted in instruction for instruction in row["matrix"]), row
        assert row["shared"] <= SHARED_LIMIT[row["arch"]], row
    assert {(r["op"], r["arch"]) for r in rows} == {(op, arch) for op in OPS for arch in archs}


def test_defaults_on_every_arch(tmp_path):
    rows = compile_all(tmp_path)
    check(rows, ["sm_80", "sm_90", "sm_120", "gfx1100", "gfx1201", "gfx942"])
    assert [row for row in rows if row["spills"]] == []


@pytest.mark.slow
def test_every_shipped_configuration(tmp_path):
    rows = compile_all(tmp_path, "--all")
    check(rows, ["sm_80", "sm_90", "sm_120", "gfx1100", "gfx1201", "gfx942"])


def test_page_sizes_are_never_specialised():
    """B, H, W, M and the dilation take no part in a kernel's identity: a new page size does not recompile."""
    code = """
from accel_kernels.dilated_block import dilated_block_kernel as a
from accel_kernels.dilated_conv2d import dilated_conv2d_kernel as b
from accel_kernels.patch_embed import patch_gemm_kernel as c
from accel_kernels.conv2d import conv2d_kernel as d, epilogue_kernel as e
from accel_kernels.letterbox import letterbox_kernel as f
from accel_kernels.image_conv2d import image_conv2d_kernel as g
from accel_kernels.depthwise_conv2d import depthwise_kernel as h
from accel_kernels.max_pool2d import max_pool2d_kernel as i
for kernel in (a, b, c, d, e, f, g, h, i):
    print(",".join(p.name for p in kernel.params if p.do_not_specialize))
    assert not [p.name for p in kernel.params if p.name in "BHWM" and not p.do_not_specialize]
"""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"PYTHONPATH": str(PACKAGE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["B,H,W", "B,H,W,dilation", "M", "B,H,W", "B,H,W", "H,W", "B,H,W", "B,H,W", "B,H,W"]
