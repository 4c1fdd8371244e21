"""Pictures cut into the patches that Qwen2-VL's vision tower takes, with the same scaling as vLLM's processor.

Workers cut crops ahead of the engine, and the patch ``vllm-fast-processor`` cuts what reaches vLLM whole: both give the
same bytes. Importing this module is light; :data:`MODULES` come in with the first picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


MODULES = ("torchvision.transforms.v2.functional", "transformers.models.qwen2_vl.image_processing_qwen2_vl")
"""Modules that :func:`cut` imports: workers import them in advance."""


class Cutter(NamedTuple):
    """How a checkpoint's image processor scales and cuts pictures; small enough to be sent to other processes."""

    patch: int
    """Side of a patch in pixels."""
    merge: int
    """Patches along each side of the square that becomes one token."""
    min_pixels: int
    """Pictures of fewer pixels are enlarged."""
    max_pixels: int
    """Pictures of more pixels are shrunk."""
    resample: int
    """Pillow's number of the resampling filter."""


def cut(picture: Image.Image, cutter: Cutter, frames: int = 1) -> tuple[Tensor, tuple[int, int]]:
    """Scale an RGB picture to whole patches and cut it.

    Args:
        picture: RGB.
        frames: copies of the picture in each patch: 2 for vLLM's own tower, which takes a still image for two frames.

    Returns:
        Patches ``(L, 3 frames P P) uint8``, L = rows x columns, and (rows, columns).

    Raises:
        ValueError: if one side is over 200 times as long as the other (transformers' ``smart_resize``).
    """
    import numpy as np
    import torch
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    p, m = cutter.patch, cutter.merge
    height, width = smart_resize(
        picture.height, picture.width, p * m, min_pixels=cutter.min_pixels, max_pixels=cutter.max_pixels
    )
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).unsqueeze(0)
    if (height, width) != (picture.height, picture.width):
        from torchvision.transforms.v2 import functional as tv
        from transformers.image_utils import pil_torch_interpolation_mapping

        filter_ = pil_torch_interpolation_mapping[cutter.resample]
        pixels = tv.resize(pixels, [height, width], interpolation=filter_, antialias=True)
    h, w = height // p, width // p
    # the tower's order: squares of m x m patches row by row, within a square row by row
    split = pixels.reshape(3, h // m, m, p, w // m, m, p).permute(1, 4, 2, 5, 0, 3, 6)
    if frames == 2:
        split = split.unsqueeze(5).expand(-1, -1, -1, -1, -1, 2, -1, -1)
    return split.reshape(h * w, 3 * frames * p * p), (h, w)
