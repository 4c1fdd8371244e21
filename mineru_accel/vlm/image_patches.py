"""Pictures cut into the patches that Qwen2-VL's vision tower takes, with the same scaling as vLLM's processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


MODULES = ("torchvision.transforms.v2.functional", "transformers.models.qwen2_vl.image_processing_qwen2_vl")
"""What :func:`cut` imports, for who wants that done before the first picture comes."""


class Cutter(NamedTuple):
    """How a checkpoint's processor scales and cuts pictures; travels to other processes."""

    patch: int
    """Side of a patch in pixels."""
    merge: int
    """Patches that become one token, along each side."""
    least: int
    most: int
    """Pixels of a picture; smaller and larger ones are scaled."""
    resample: int
    """Filter, as Pillow numbers them."""


def cut(picture: Image.Image, cutter: Cutter, frames: int = 1) -> tuple[Tensor, tuple[int, int]]:
    """(L, 3 frames P P) uint8 patches of an RGB picture, scaled to whole patches, and their rows and columns.

    Raises:
        ValueError: if one side is over 200 times as long as the other (transformers' ``smart_resize``).
    """
    import numpy as np
    import torch
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    p, m = cutter.patch, cutter.merge
    height, width = smart_resize(picture.height, picture.width, p * m, min_pixels=cutter.least, max_pixels=cutter.most)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).unsqueeze(0)
    if (height, width) != (picture.height, picture.width):
        from torchvision.transforms.v2 import functional as tv
        from transformers.image_utils import pil_torch_interpolation_mapping

        filter_ = pil_torch_interpolation_mapping[cutter.resample]
        pixels = tv.resize(pixels, [height, width], interpolation=filter_, antialias=True)
    h, w = height // p, width // p
    split = pixels.reshape(3, h // m, m, p, w // m, m, p).permute(1, 4, 2, 5, 0, 3, 6)
    if frames == 2:
        split = split.unsqueeze(5).expand(-1, -1, -1, -1, -1, 2, -1, -1)
    return split.reshape(h * w, 3 * frames * p * p), (h, w)
