"""The patch embedding for image patches of one frame in bytes, which ``vllm-uint8-pixels`` puts in place."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from accel_kernels import fold_patch_weight, patch_embed_uint8
from torch import Tensor, nn


class SingleFrameNorm(nn.Module):
    """In place of a model's FusedInputNorm: patches of one frame pass unchanged, all others are normalized.

    Args:
        norm: the model's FusedInputNorm.
        columns: numbers in a patch of one frame.
    """

    is_identity = False

    def __init__(self, norm: Any, columns: int) -> None:
        super().__init__()
        self.norm = norm
        self.columns = columns

    @property
    def dtype(self) -> torch.dtype:
        """FusedInputNorm's."""
        return self.norm.dtype

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """``(L, columns) uint8`` unchanged; ``(L, 2 columns)`` normalized, in ``dtype``."""
        if pixels.dtype is torch.uint8 and pixels.shape[1] == self.columns:
            return pixels
        return self.norm(pixels, dtype)


def prepare(model: Any) -> None:
    """Give a newly built model the norm above, and its patch embedding the processor's mean and standard deviation."""
    norm, embedding = getattr(model, "input_norm", None), getattr(model.visual, "patch_embed", None)
    if norm is None or embedding is None or norm.is_identity or norm.weight.shape != (3,):
        return
    std = 1 / (255 * norm.weight.double())
    embedding.__dict__["_accel_norm"] = ((-norm.bias.double() * std).tolist(), std.tolist())
    proj = embedding.proj
    model.input_norm = SingleFrameNorm(norm, proj.weight.shape[1] * embedding.patch_size**2)


def is_single_frame(embedding: Any, x: Tensor) -> bool:
    """Whether ``x (L, K)`` holds one frame, for an embedding that :func:`prepare` has seen."""
    return "_accel_norm" in embedding.__dict__ and x.shape[1] * embedding.temporal_patch_size == (
        embedding.proj.weight[0].numel()
    )


def embed(embedding: Any, x: Tensor) -> Tensor:
    """Pixels ``(L, C P P)``, 0..255 in any dtype -> ``(L, N)`` in the weight's dtype."""
    weight, bias = embedding.proj.weight, embedding.proj.bias
    mean, std = embedding.__dict__["_accel_norm"]
    folded = embedding.__dict__.get("_accel_folded")
    if weight.dtype is torch.float32:  # no rounding to float16: exact models stay exact
        if folded is None:
            folded = embedding.__dict__["_accel_folded"] = fold_float32(weight, mean, std, bias)
        return F.linear(x.float(), *folded)
    if folded is None:
        folded = embedding.__dict__["_accel_folded"] = fold_patch_weight(weight, mean, std, bias)
    return patch_embed_uint8(x.to(torch.uint8), folded, dtype=weight.dtype)


def fold_float32(weight: Tensor, mean: list[float], std: list[float], bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight ``(N, C P P)`` and bias ``(N,)`` in float32 that take pixels 0..255; see `accel_kernels.patch_embed`."""
    mean_, std_ = (torch.tensor(v, dtype=torch.float64, device=weight.device).view(1, -1, 1, 1) for v in (mean, std))
    exact = weight.detach().double().sum(2) / (255 * std_)
    offset = -(exact * 255 * mean_).flatten(1).sum(1)
    return exact.flatten(1).float(), (offset if bias is None else offset + bias.double()).float()


def drop_second_frame(processed: Any, both_frames: int) -> Any:
    """Keep the first of the two equal frames of every still image in a processor's result.

    Args:
        both_frames: numbers in a patch of two frames, ``(3, 2, P, P)``. Items with fewer come from the processor's
            cache and have one frame already.
    """
    items = processed["mm_kwargs"].get("image") or ()
    for item in items:
        element = item.get("pixel_values") if item is not None else None
        if element is not None and isinstance(element.data, Tensor) and element.data.dtype is torch.uint8:
            length, columns = element.data.shape
            if columns == both_frames:
                element.data = element.data.view(length, 3, 2, -1)[:, :, 0].reshape(length, -1)
    return processed
