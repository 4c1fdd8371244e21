"""Qwen2-VL's processor without the detours: what `vllm-fast-processor` puts in place.

For token prompts with still images, as MinerU sends them, the result follows from the picture's size: the same patches,
tokens, hashes and placeholders that vLLM gets by way of the Hugging Face processor, a dummy prompt and a search.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize


class Plan(NamedTuple):
    """What a processor does with pictures."""

    token: int
    patch: int
    merge: int
    images: Any
    """The Hugging Face image processor."""


def plan(processor: Any) -> Plan | None:
    """A processor's plan, kept with it; None if it does anything but resize, convert and cut into patches."""
    known = processor.__dict__.get("_accel_plan", False)
    if known is False:
        known = processor.__dict__["_accel_plan"] = _plan(processor)
    return known


def _plan(processor: Any) -> Plan | None:
    info = processor.info
    multimodal = info.ctx.get_mm_config()
    merged = info.ctx.get_merged_mm_kwargs({})
    images = info.get_image_processor()
    bytes_only = getattr(multimodal, "mm_device_do_normalize", False) and merged == {
        "do_normalize": False,
        "do_rescale": False,
    }
    plain = images.do_resize and images.do_convert_rgb and images.temporal_patch_size == 2
    if not bytes_only or not plain or type(images).__name__ != "Qwen2VLImageProcessor":
        return None
    token = info.get_tokenizer().get_vocab()[info.get_hf_processor().image_token]
    return Plan(token, images.patch_size, images.merge_size, images)


def quick(processor: Any, inputs: Any, frames: int) -> Any | None:
    """The processed input, or None where vLLM's own way has to be taken. frames: 1 or 2 in each patch."""
    from transformers import BatchFeature
    from vllm.inputs import mm_input
    from vllm.multimodal.inputs import MultiModalKwargsItems, PlaceholderRange

    ids, items = inputs.prompt, inputs.mm_data_items
    if isinstance(ids, str) or processor.cache is not None or inputs.hf_processor_mm_kwargs or set(items) != {"image"}:
        return None
    pictures = items["image"].data if type(items["image"]).__name__ == "ImageProcessorItems" else []
    pictures = pictures if isinstance(pictures, list) else []
    if not pictures or not all(isinstance(p, Image.Image) and p.mode == "RGB" for p in pictures):
        return None
    if (made := plan(processor)) is None or ids.count(made.token) != len(pictures):
        return None
    patches, grids = zip(*(cut(picture, made, frames) for picture in pictures), strict=True)
    features = BatchFeature({"pixel_values": torch.cat(patches), "image_grid_thw": torch.tensor(grids)})
    kwargs = MultiModalKwargsItems.from_hf_inputs(features, processor._get_mm_fields_config(features, {}))
    tokens: list[int] = []
    places = []
    start = 0
    for _, h, w in grids:
        at = ids.index(made.token, start)
        tokens += ids[start:at]
        count = h * w // made.merge**2
        places.append(PlaceholderRange(offset=len(tokens), length=count))
        tokens += [made.token] * count
        start = at + 1
    tokens += ids[start:]
    hashes = inputs.get_mm_hashes(processor.info.model_id, processor.info.ctx.get_mm_config().mm_hasher_algorithm)
    return mm_input(prompt_token_ids=tokens, mm_kwargs=kwargs, mm_hashes=hashes, mm_placeholders={"image": places})


def cut(picture: Image.Image, made: Plan, frames: int) -> tuple[torch.Tensor, list[int]]:
    """(L, 3 frames P P) uint8 patches of a picture, scaled to whole patches, and its (t, h, w) in patches."""
    factor = made.patch * made.merge
    size = made.images.size
    height, width = smart_resize(
        picture.height, picture.width, factor, min_pixels=size["shortest_edge"], max_pixels=size["longest_edge"]
    )
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).unsqueeze(0)
    if (height, width) != (picture.height, picture.width):
        pixels = made.images.resize(images=pixels, size=size, resample=made.images.resample, factor=factor)
    p, m = made.patch, made.merge
    h, w = height // p, width // p
    split = pixels.reshape(3, h // m, m, p, w // m, m, p).permute(1, 4, 2, 5, 0, 3, 6)
    if frames == 2:
        split = split.unsqueeze(5).expand(-1, -1, -1, -1, -1, 2, -1, -1)
    return split.reshape(h * w, 3 * frames * p * p), [1, h, w]
