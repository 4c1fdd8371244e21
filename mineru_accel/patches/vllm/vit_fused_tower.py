"""Qwen2-VL's vision tower with less memory traffic and fewer launches, which ``vllm-vit-fused`` puts in place.

The matrix products and the attention stay vLLM's own layers (cuBLAS, quantized, LoRA, whatever they are); between them
run the three ops of `accel_kernels.vision_block`. q, k and v are never copied: attention reads them where the product
wrote them. Positions are sent to the GPU as two small integers per patch through pinned memory; vLLM sends tables of
cosines from pageable memory, which makes the host wait for the GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accel_kernels import add_layer_norm, quick_gelu_, rotary_qk_
from torch import Tensor, nn

from .device_copy import to_device


def fits(tower: Any) -> bool:
    """Whether `forward` can run a built tower; decided once per tower."""
    known = tower.__dict__.get("_accel_fits")
    if known is None:
        known = tower.__dict__["_accel_fits"] = _fits(tower)
    return known


def _fits(tower: Any) -> bool:
    try:
        attention = tower.blocks[0].attn
        return (
            attention.tp_size == 1
            and attention.hidden_size_per_attention_head % 4 == 0
            and isinstance(tower.blocks[0].norm1, nn.LayerNorm)
            and isinstance(tower.merger.ln_q, nn.LayerNorm)
            and type(tower.blocks[0].mlp.act).__name__ == "QuickGELU"
            and callable(tower.rotary_pos_emb.get_cos_sin)
        )
    except (AttributeError, IndexError):
        return False


@functools.lru_cache(maxsize=4096)
def patch_positions(t: int, h: int, w: int, merge: int) -> np.ndarray:
    """``(t h w, 2) int32``: row and column of each patch, in the processor's order (square by square)."""
    rows, columns = np.meshgrid(np.arange(h, dtype=np.int32), np.arange(w, dtype=np.int32), indexing="ij")
    order = [
        grid.reshape(h // merge, merge, w // merge, merge).transpose(0, 2, 1, 3).ravel() for grid in (rows, columns)
    ]
    return np.tile(np.stack(order, -1), (t, 1))


def metadata(
    tower: Any,
    grid_thw: Sequence[Sequence[int]],
    *,
    max_batch_size: int | None = None,
    max_frames_per_batch: int | None = None,
    max_seqlen_override: int | None = None,
    device: torch.device | None = None,
) -> dict[str, Tensor]:
    """Positions and sequence bounds of a batch of images or videos; in place of the tower's `prepare_encoder_metadata`.

    Args:
        grid_thw: frames, rows and columns of patches of each.

    Returns:
        ``position (L, 2) int32`` and ``cu_seqlens (frames + 1,) int32`` on the device, the latter padded to
        `max_frames_per_batch` or `max_batch_size` frames by repeating its end; ``max_seqlen``, a scalar on the CPU.
    """
    device = device or tower.device
    merge = tower.spatial_merge_size
    grids = [(int(t), int(h), int(w)) for t, h, w in grid_thw]
    position = np.concatenate([patch_positions(*grid, merge) for grid in grids])
    lengths = np.repeat([h * w for _, h, w in grids], [t for t, _, _ in grids]).astype(np.int32)
    ends = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    frames = max_frames_per_batch if max_frames_per_batch else max_batch_size
    if frames and len(lengths) < frames:
        ends = np.concatenate([ends, np.full(frames - len(lengths), ends[-1], np.int32)])
    longest = int(lengths.max()) if max_seqlen_override is None else max_seqlen_override
    return {
        "position": to_device(position, device),
        "cu_seqlens": to_device(ends, device),
        "max_seqlen": torch.tensor(longest, dtype=torch.int32, device="cpu"),
    }


def rotary_tables(tower: Any) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``(P, D / 4)`` of every position, contiguous; kept as the tower's attribute."""
    tables = tower.__dict__.get("_accel_tables")
    if tables is None:
        cos, sin = tower.rotary_pos_emb.get_cos_sin(tower.rotary_pos_emb.cos_sin_cache.shape[0])
        tables = tower.__dict__["_accel_tables"] = (
            cos.to(tower.device).contiguous(),
            sin.to(tower.device).contiguous(),
        )
    return tables


def forward(
    tower: Any,
    x: Tensor,
    grid_thw: Tensor | Sequence[Sequence[int]] | None,
    *,
    encoder_metadata: dict[str, Tensor] | None = None,
) -> Tensor:
    """In place of `Qwen2VisionTransformer.forward`: patches ``(L, K)`` -> embeddings ``(L / merge^2, hidden size)``."""
    x = x.to(device=tower.device) if x.dtype is torch.uint8 else x.to(device=tower.device, dtype=tower.dtype)
    x = tower.patch_embed(x)
    if encoder_metadata is None:
        assert grid_thw is not None
        encoder_metadata = metadata(tower, grid_thw.tolist() if isinstance(grid_thw, Tensor) else grid_thw)
    position, cu_seqlens = encoder_metadata["position"], encoder_metadata["cu_seqlens"]
    max_seqlen = encoder_metadata["max_seqlen"]
    cos, sin = rotary_tables(tower)
    first = tower.blocks[0].norm1
    x, normed = add_layer_norm(x, None, first.weight, first.bias, first.eps)
    norms = [block.norm1 for block in tower.blocks[1:]] + [tower.merger.ln_q]
    for block, following in zip(tower.blocks, norms, strict=True):
        change = attend(block.attn, normed, position, cos, sin, cu_seqlens, max_seqlen)
        x, normed = add_layer_norm(x, change, block.norm2.weight, block.norm2.bias, block.norm2.eps)
        hidden, _ = block.mlp.fc1(normed)
        change, _ = block.mlp.fc2(quick_gelu_(hidden))
        x, normed = add_layer_norm(x, change, following.weight, following.bias, following.eps)
    merger = tower.merger
    hidden, _ = merger.mlp[0](normed.view(-1, merger.hidden_size))
    out, _ = merger.mlp[2](merger.mlp[1](hidden))
    return out


def attend(
    attention: Any, x: Tensor, position: Tensor, cos: Tensor, sin: Tensor, cu_seqlens: Tensor, max_seqlen: Tensor
) -> Tensor:
    """One layer's attention: ``(L, C)`` -> ``(L, C)``."""
    heads, d = attention.num_attention_heads_per_partition, attention.hidden_size_per_attention_head
    qkv, _ = attention.qkv(x)
    rotary_qk_(qkv, position, cos, sin, heads)
    q, k, v = (part.unsqueeze(0) for part in qkv.view(-1, 3, heads, d).unbind(1))  # (1, L, heads, d), not copied
    out = attention.attn(query=q, key=k, value=v, cu_seqlens=cu_seqlens, max_seqlen=max_seqlen)
    out, _ = attention.proj(out.reshape(-1, heads * d))
    return out
