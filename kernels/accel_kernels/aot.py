"""Compile the kernels for GPUs that this machine doesn't have, and report the resources that they need there.

    python -m accel_kernels.aot [--arch sm_90,gfx1100] [--json] [--all]

One row per kernel, arch and shipped configuration: registers, shared memory (LDS), spills, and the matrix instructions
in the assembly. Needs no GPU, CUDA or ROCm, only triton; not under TRITON_INTERPRET. --all compiles every shipped
configuration, without it each op's default on each arch.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from .conv2d import conv2d_kernel, default_config, epilogue_kernel
from .depthwise_conv2d import depthwise_kernel
from .dilated_block import block_mode, branch_columns, dilated_block_kernel
from .dilated_conv2d import dilated_conv2d_kernel
from .image_conv2d import image_conv2d_kernel
from .letterbox import letterbox_kernel
from .max_pool2d import max_pool2d_kernel
from .ops import split_columns
from .patch_embed import patch_gemm_kernel
from .shape_cache import SHIPPED, Config

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_120": GPUTarget("cuda", 120, 32),
    "gfx1100": GPUTarget("hip", "gfx1100", 32),
    "gfx1201": GPUTarget("hip", "gfx1201", 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
SHARED_LIMIT = {"sm_80": 166912, "sm_90": 232448, "sm_120": 101376, "gfx1100": 65536, "gfx1201": 65536, "gfx942": 65536}
TYPES = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "uint8": "u8"}
FAMILIES = {
    "conv2d": "C96-N96-k3-s1",
    "dilated_conv2d": "C96-N96-k5",
    "dilated_block": "C96-k5-glu",
    "patch_embed": "N1280-K1176",
    "patch_embed_uint8": "N1280-K588",
}
FIXED: tuple[tuple[str, str, str, Config], ...] = (
    ("letterbox", "uint8", "", {"BLOCK": 1024}),
    ("image_conv2d", "float16", "N48", {"BM": 128}),
    ("conv2d_epilogue", "float16", "C96-N96", {"BM": 32, "BN": 64}),
    *(("depthwise_conv2d", "float16", f"C288-k{k}-s{s}", {"BM": bm, "BC": 64})
      for k, s, bm in ((3, 1, 16), (3, 1, 32), (3, 2, 32), (7, 1, 16))),
    ("max_pool2d", "float16", "C288-k5", {"BM": 32, "BC": 64}),
)  # fmt: skip
"""Ops with nothing to tune, as they are launched: op, dtype, family, tile sizes."""
NO_PRODUCTS = {"letterbox", "conv2d_epilogue", "depthwise_conv2d", "max_pool2d"}
"""Ops that need no matrix instructions."""
STRIDES = ("C", "N", "SX", "SR", "SL", "SY")
"""Arguments of conv2d_kernel that are multiples of 16 in the layout model."""
POINTERS = ("x", "w", "y", "z", "bias", "residual", "mix", "tail", "scale", "z0", "z1", "z2", "low", "places", "canvas")


@dataclass(frozen=True)
class Job:
    """One kernel to compile: which op and shape family, for which arch, with which tile sizes."""

    op: str
    arch: str
    dtype: str
    family: str
    config: tuple[tuple[str, int], ...]
    tail: bool = False


@dataclass(frozen=True)
class Report:
    """The compiler's report. spills: bytes of local memory on NVIDIA, spilled vector registers on AMD."""

    op: str
    arch: str
    dtype: str
    family: str
    config: dict[str, int]
    registers: int
    shared: int
    spills: int
    matrix: list[str]


def compile_job(job: Job) -> Report:
    """Compile one kernel; raises what triton raises if it can't be."""
    kernel, signature, constants = _arguments(job)
    names = kernel.arg_names
    config = dict(job.config)
    signature |= dict.fromkeys(constants, "constexpr")
    attributes = {
        (names.index(k),): [["tt.divisibility", 16]]
        for k in signature
        if (k in POINTERS and signature[k].startswith("*")) or (k in STRIDES and signature[k] == "i32")
    }
    source = ASTSource(
        fn=kernel,
        signature={n: signature[n] for n in names},
        constexprs={(names.index(k),): v for k, v in constants.items()},
        attrs=attributes,
    )
    options = {key: config[key] for key in ("num_warps", "num_stages", "maxnreg") if key in config}
    compiled = triton.compile(source, target=TARGETS[job.arch], options=options)
    registers, spills, matrix = _resources(compiled.asm)
    return Report(job.op, job.arch, job.dtype, job.family, config, registers, compiled.metadata.shared, spills, matrix)


def _arguments(job: Job) -> tuple[Any, dict[str, str], dict[str, Any]]:
    """(kernel, types of its runtime arguments, its constexpr arguments)."""
    config = dict(job.config)
    t = TYPES[job.dtype]
    shape = {key: int(value) for key, value in re.findall(r"([A-Za-z]+)(\d+)", job.family)}
    if job.op.startswith("patch_embed"):
        uint8 = job.op == "patch_embed_uint8"
        n, k = shape["N"], shape["K"]
        wide = -(-k // 64) * 64 if uint8 else k
        row = -(-k // 16) * 16 if uint8 else k
        t = "bf16" if uint8 else t
        signature = {"x": "*u8" if uint8 else f"*{t}", "w": "*fp16" if uint8 else f"*{t}", "y": f"*{t}", "M": "i32"}
        constants: dict[str, Any] = {
            "N": n,
            "K": k,
            "KX": row,
            "SX": row,
            "SW": wide,
            "UINT8": uint8,
            "ZERO": 115 if uint8 else 0,
        }
        constants |= {key: config[key] for key in ("BM", "BN", "BK", "GROUP")}
        constants |= {"PRECISION": "ieee", "TMA": bool(config.get("TMA"))}
        if uint8:
            signature |= {"bias": "*fp32", "scale": "*fp32"}
        else:
            constants |= {"bias": None, "scale": None}
        a, b = signature["x"][1:], signature["w"][1:]
        descriptors = {"xd": f"{a}[{config['BM']}, {config['BK']}]", "wd": f"{b}[{config['BN']}, {config['BK']}]"}
        if constants["TMA"]:
            signature |= {name: f"tensordesc<{kind}>" for name, kind in descriptors.items()}
        else:
            constants |= dict.fromkeys(descriptors)
        return patch_gemm_kernel, signature, constants
    if job.op in {op for op, *_ in FIXED}:
        return _fixed_arguments(job.op, t, shape, config)
    c, k = shape["C"], shape["k"]
    n = shape.get("N", c)
    if job.op == "conv2d":
        bn0, bn1 = (config["BN0"], config["BN1"]) if "BN0" in config else split_columns(n, 128)
        signature = dict.fromkeys(("x", "w", "residual", "y"), f"*{t}") | {"bias": "*fp32"}
        signature |= dict.fromkeys(("B", "H", "W", *STRIDES), "i32")
        constants = {"low": None, "KS": k, "STRIDE": shape["s"], "SILU": True, "BN0": bn0, "BN1": bn1}
        constants |= {"EVEN_C": c % config["BK"] == 0, "EVEN_N": n % (bn0 + bn1) == 0, "PRECISION": "ieee"}
        return conv2d_kernel, signature, constants | {key: config[key] for key in ("BM", "BK", "TW")}
    limit = 128 if job.op == "dilated_conv2d" else 256
    bn0, bn1 = (config["BN0"], config["BN1"]) if "BN0" in config else split_columns(n, limit)
    constants = {
        "C": c,
        "SX": c,
        "KS": k,
        "BM": config["BM"],
        "BN0": bn0,
        "BN1": bn1,
        "BK": config["BK"],
        "TW": config["TW"],
    }
    constants |= {"PRECISION": "ieee"}
    signature = {"x": f"*{t}", "w": f"*{t}", "y": f"*{t}", "B": "i32", "H": "i32", "W": "i32"}
    if job.op == "dilated_conv2d":
        signature |= {"bias": f"*{t}", "residual": f"*{t}", "dilation": "i32"}
        constants |= {"N": n, "SILU": True}
        return dilated_conv2d_kernel, signature, constants
    d = 3
    glu = job.family.endswith("glu")
    signature |= {"bias": "*fp32", "mix": f"*{t}", "tail": "*fp32", "dilations": "*i32"}
    constants |= {"D": d, "RP": branch_columns(c, d), "GLU": glu, "SHORTCUT": True}
    constants |= {
        "MODE": block_mode(config, c, d, glu, job.tail),
        "TANH": bool(config.get("TANH")),
        "ROLL": bool(config.get("ROLL")),
    }
    for i in range(4):
        if job.tail and i < d:
            signature[f"z{i}"] = f"*{t}"
        else:
            constants[f"z{i}"] = None
    return dilated_block_kernel, signature, constants


def _fixed_arguments(
    op: str, t: str, shape: dict[str, int], config: Config
) -> tuple[Any, dict[str, str], dict[str, Any]]:
    """As `_arguments`, for an op of FIXED."""
    tiles: dict[str, Any] = {key: config[key] for key in ("BM", "BN", "BC", "BLOCK") if key in config}
    if op == "letterbox":
        signature = {"pixels": "*u8", "places": "*i64", "canvas": "*u8", "H": "i32", "W": "i32"}
        return letterbox_kernel, signature, tiles | {"PAD": 114}
    signature = {"x": f"*{t}", "y": f"*{t}"} | dict.fromkeys(("B", "H", "W"), "i32")
    if op == "image_conv2d":
        bn0, bn1 = split_columns(shape["N"])
        signature |= {"x": "*u8", "w": f"*{t}", "bias": "*fp32", "N": "i32", "SY": "i32"}
        return image_conv2d_kernel, signature, tiles | {"BN0": bn0, "BN1": bn1, "PRECISION": "ieee"}
    if op == "conv2d_epilogue":
        signature = {"z": signature.pop("x"), **signature, "bias": "*fp32", "residual": f"*{t}", "low": f"*{t}"}
        return epilogue_kernel, signature | dict.fromkeys(("N", "SR", "SL", "SY"), "i32"), tiles | {"SILU": True}
    signature |= dict.fromkeys(("C", "SX", "SY"), "i32")
    tiles["KS"] = shape["k"]
    if op == "max_pool2d":
        return max_pool2d_kernel, signature, tiles
    signature |= {"w": "*fp32", "bias": "*fp32", "residual": f"*{t}", "SR": "i32"}
    return depthwise_kernel, signature, tiles | {"STRIDE": shape["s"], "SILU": True}


def _resources(asm: dict[str, Any]) -> tuple[int, int, list[str]]:
    """(registers a thread, spills, matrix instructions) from the assembly and, on NVIDIA, the cubin."""
    if "amdgcn" in asm:
        text = asm["amdgcn"]

        def number(key: str) -> int:
            found = re.search(rf"\.{key}:\s*(\d+)", text)
            return int(found.group(1)) if found else 0

        matrix = sorted(set(re.findall(r"v_s?wmma\w+|v_mfma\w+", text)))
        return number("vgpr_count") + number("agpr_count"), number("vgpr_spill_count"), matrix
    matrix = sorted(set(re.findall(r"wgmma\.mma_async\.sync\.aligned\.\w+|mma\.sync\.aligned\.\w+", asm["ptx"])))
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(asm["cubin"])
        file.flush()
        out = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=False)
    used = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", out.stdout + out.stderr))
    return int(used.get("REG", 0)), int(used.get("STACK", 0)) + int(used.get("LOCAL", 0)), matrix


def shipped_jobs(archs: list[str], everything: bool) -> Iterator[Job]:
    """A job for each op's default on each arch (dtype by dtype), or for every configuration shipped."""
    seen = set()
    for arch in archs:
        for op, dtype, family, config in FIXED:
            yield Job(op, arch, dtype, family, tuple(sorted(config.items())))
        for path in sorted((SHIPPED / arch).glob("*.json")):
            op = path.stem
            for dtype, by_dtype in json.loads(path.read_text("utf-8"))["dtypes"].items():
                for family, config, tail in _configs(op, by_dtype, everything):
                    job = Job(op, arch, dtype, family, tuple(sorted(config.items())), tail)
                    if job not in seen:
                        seen.add(job)
                        yield job


def _configs(op: str, by_dtype: dict[str, Any], everything: bool) -> Iterator[tuple[str, Config, bool]]:
    entries = [(FAMILIES[op], by_dtype["default"])] if "default" in by_dtype else []
    if everything:
        for family, tiers in by_dtype.get("families", {}).items():
            entries += [(family, tiers["default"])] if "default" in tiers else []
            entries += [(family, e) for kind in ("buckets", "exact") for e in tiers.get(kind, {}).values()]
    for family, entry in entries:
        config = entry.get("config")
        if op == "conv2d" and not config and entry["implementation"] == "triton":
            c, n, k, _ = map(int, re.findall(r"\d+", family))
            config = default_config(c, n, k, 1 << 20)
        if config:
            yield family, config, entry["implementation"] == "hybrid"


def main(argv: list[str] | None = None) -> int:
    """Print the table; 1 if a default spills, or anything but float32 has no matrix instruction."""
    parser = argparse.ArgumentParser(prog="python -m accel_kernels.aot", description=__doc__.split("\n")[0])
    parser.add_argument("--arch", default=",".join(TARGETS), help="comma-separated")
    parser.add_argument("--all", action="store_true", help="every shipped configuration, not only the defaults")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a Markdown table")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes")
    args = parser.parse_args(argv)
    jobs = list(shipped_jobs(args.arch.split(","), args.all))
    with ProcessPoolExecutor(args.jobs) as pool:
        reports = list(pool.map(compile_job, jobs))
    if args.json:
        for report in reports:
            print(json.dumps(asdict(report)))
    else:
        print("| op | arch | dtype | family | configuration | registers | shared | spills | matrix instructions |")
        print("|---|---|---|---|---|---|---|---|---|")
        for r in reports:
            config = " ".join(f"{k}={v}" for k, v in r.config.items())
            short = ", ".join(r.matrix)
            print(
                f"| {r.op} | {r.arch} | {r.dtype} | {r.family} | {config} "
                f"| {r.registers} | {r.shared} | {r.spills} | {short} |"
            )
    halves = [r for r in reports if r.dtype != "float32"]  # float32 products are exact, without matrix units
    good = (bool(r.matrix or r.op in NO_PRODUCTS) and (args.all or r.spills == 0) for r in halves)
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
