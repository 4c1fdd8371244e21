"""``mineru-accel bench tower``: the VLM's vision tower alone, vLLM's own beside the fused one, in CUDA graphs.

Prints for each number of crops the times of the whole tower and of its parts, and the difference of the two outputs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_OK


def run(argv: Sequence[str]) -> int:
    """Load the checkpoint into vLLM in this process, and time its vision tower."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench tower", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the checkpoint")
    parser.add_argument("--crops", default="1,2,4,7,8,10,13,16,26,32", help="default: %(default)s")
    parser.add_argument("--grid", default="10x100", help="patches of a crop, rows x columns; default: %(default)s")
    parser.add_argument("--out", type=Path, help="file for the rows as JSON lines")
    args = parser.parse_args(argv)
    os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="WARNING")
    os.environ.setdefault("MINERU_ACCEL_PATCHES", "none")
    from vllm import LLM

    llm = LLM(
        model=str(args.model), enforce_eager=True, max_model_len=4096, gpu_memory_utilization=0.3,
        limit_mm_per_prompt={"image": 1, "video": 0}, mm_processor_cache_gb=0, max_num_batched_tokens=4096,
    )  # fmt: skip
    rows, columns = (int(n) for n in args.grid.split("x"))
    crops = [int(n) for n in args.crops.split(",")]
    llm.apply_model(lambda model: _measure(model, rows, columns, crops, args.out))
    return EXIT_OK


def _measure(model: Any, rows: int, columns: int, crops: list[int], out: Path | None) -> None:
    import torch

    from ...patches.vllm import vit_fused_tower

    visual = model.visual
    original = type(visual).forward
    plain = type(visual).prepare_encoder_metadata
    length = rows * columns
    config = visual.blocks[0].attn
    width, depth = visual.embed_dim, len(visual.blocks)
    products = 2 * 12 * width * width * depth

    def one(n: int) -> None:
        pixels = torch.randn(n * length, 1176, device=visual.device, dtype=visual.dtype)
        grid = [[1, rows, columns]] * n
        vllm_metadata = plain(visual, grid, device=visual.device)
        fused_metadata = vit_fused_tower.metadata(visual, grid, device=visual.device)
        a = original(visual, pixels, None, encoder_metadata=dict(vllm_metadata))
        b = vit_fused_tower.forward(visual, pixels, None, encoder_metadata=dict(fused_metadata))
        error = ((a - b).float().norm() / a.float().norm()).item()
        flops = n * length * (products + 4 * length * width * depth)
        row = {"crops": n, "patches": n * length, "error": error}
        for name, call in {
            "vllm": lambda: original(visual, pixels, None, encoder_metadata=dict(vllm_metadata)),
            "fused": lambda: vit_fused_tower.forward(visual, pixels, None, encoder_metadata=dict(fused_metadata)),
            **_parts(visual, config, n * length, fused_metadata),
        }.items():
            try:
                row[name] = _time(call, 6 if name in ("vllm", "fused") else 20)
            except Exception as failure:
                row[name] = float("nan")
                print(f"{name}: {type(failure).__name__}: {failure}", flush=True)
        row["fused_tflops"] = flops / row["fused"] / 1e9
        row["crops_per_s"] = n / row["fused"] * 1e3
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        if out is not None:
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    with torch.inference_mode():
        for n in crops:
            one(n)


def _parts(visual: Any, attention: Any, length: int, metadata: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """One call of each part of a layer, by name."""
    import torch
    from accel_kernels import add_layer_norm, quick_gelu_, rotary_qk_

    from ...patches.vllm import vit_fused_tower

    block = visual.blocks[0]
    width = visual.embed_dim
    heads, d = attention.num_attention_heads_per_partition, attention.hidden_size_per_attention_head
    x = torch.randn(length, width, device=visual.device, dtype=visual.dtype)
    wide = torch.randn(length, 4 * width, device=visual.device, dtype=visual.dtype)
    qkv = torch.randn(length, 3 * width, device=visual.device, dtype=visual.dtype)
    cos, sin = vit_fused_tower.rotary_tables(visual)
    q, k, v = (part.unsqueeze(0) for part in qkv.view(-1, 3, heads, d).unbind(1))
    about = {"cu_seqlens": metadata["cu_seqlens"], "max_seqlen": metadata["max_seqlen"]}
    return {
        "qkv": lambda: attention.qkv(x),
        "proj": lambda: attention.proj(x),
        "fc1": lambda: block.mlp.fc1(x),
        "fc2": lambda: block.mlp.fc2(wide),
        "attention": lambda: attention.attn(query=q, key=k, value=v, **about),
        "rotary": lambda: rotary_qk_(qkv, metadata["position"], cos, sin, heads),
        "norm": lambda: add_layer_norm(x, x, block.norm1.weight, block.norm1.bias, block.norm1.eps),
        "gelu": lambda: quick_gelu_(wide),
    }


def _time(call: Callable[[], Any], repeats: int) -> float:
    """Milliseconds per call in a CUDA graph; median of five measurements."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            call()
    graph.replay()
    torch.cuda.synchronize()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        graph.replay()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - started) / repeats * 1e3)
    return sorted(times)[2]


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
