"""Qwen2-VL's processor for token prompts with still images, which ``vllm-fast-processor`` puts in place.

Tokens and placeholders follow from a picture's size alone. vLLM finds the same ones by way of Hugging Face's processor,
a dummy prompt and a search in its tokens.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..image_patches import Cutter, cut

_RUN = uuid.uuid4().hex
_numbers = itertools.count()


class Settings(NamedTuple):
    """How a processor treats pictures."""

    token: int
    """The token that stands for a picture."""
    cutter: Cutter
    elements: dict[str, Any]
    """Templates of a picture's fields (``MultiModalFieldElem``), by name."""


def settings_of(processor: Any) -> Settings | None:
    """A processor's settings, kept as its attribute; None if it does more than resize, convert and cut into patches."""
    known = processor.__dict__.get("_accel_settings", False)
    if known is False:
        known = processor.__dict__["_accel_settings"] = _read_settings(processor)
    return known


def _read_settings(processor: Any) -> Settings | None:
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
    size = images.size
    cutter = Cutter(
        images.patch_size, images.merge_size, size["shortest_edge"], size["longest_edge"], int(images.resample)
    )
    return Settings(token, cutter, _elements(processor))


def _elements(processor: Any) -> dict[str, Any]:
    """The fields that vLLM makes of a picture of 2 x 2 patches."""
    from transformers import BatchFeature
    from vllm.multimodal.inputs import MultiModalKwargsItems

    blank = BatchFeature({"pixel_values": torch.zeros(4, 1), "image_grid_thw": torch.tensor([[1, 2, 2]])})
    items = MultiModalKwargsItems.from_hf_inputs(blank, processor._get_mm_fields_config(blank, {}))
    return dict(items["image"][0])


def cutter_of(llm: Any) -> Cutter | None:
    """How other processes may cut pictures for an ``AsyncLLM``; None where vLLM must do that itself.

    That needs patches of one frame (``vllm-uint8-pixels``) and `process` in place (``vllm-fast-processor``).
    """
    processor = getattr(getattr(llm, "renderer", None), "mm_processor", None)
    if processor is None or processor.cache is not None or getattr(type(processor), "_accel_frames", 2) != 1:
        return None
    if not hasattr(type(processor).apply, "_accel_fast") or (settings := settings_of(processor)) is None:
        return None
    return settings.cutter


def from_patches(llm: Any, ids: Sequence[int], patches: Tensor, grid: tuple[int, int]) -> Any:
    """The engine's input for a prompt with one picture that another process has cut (see :func:`cutter_of`).

    Args:
        ids: tokens of the prompt; one of them stands for the picture.
        patches: ``(L, 3 P P) uint8``.
        grid: rows and columns of patches.
    """
    settings = settings_of(llm.renderer.mm_processor)
    assert settings is not None
    # a new hash for every picture, not one of its bytes: nothing is cached, so that none is looked up
    rendered = _input(settings, list(ids), [patches], [grid], {"image": [f"{_RUN}-{next(_numbers)}"]})
    rendered["arrival_time"] = time.time()
    return rendered


def process(processor: Any, inputs: Any, frames: int) -> Any | None:
    """The processed input; None where vLLM's own processor must do it.

    Args:
        frames: 1 or 2 in each patch.
    """
    ids, items = inputs.prompt, inputs.mm_data_items
    if isinstance(ids, str) or processor.cache is not None or inputs.hf_processor_mm_kwargs or set(items) != {"image"}:
        return None
    pictures = items["image"].data if type(items["image"]).__name__ == "ImageProcessorItems" else []
    pictures = pictures if isinstance(pictures, list) else []
    if not pictures or not all(isinstance(p, Image.Image) and p.mode == "RGB" for p in pictures):
        return None
    if (settings := settings_of(processor)) is None or ids.count(settings.token) != len(pictures):
        return None
    patches, grids = zip(*(cut(picture, settings.cutter, frames) for picture in pictures), strict=True)
    hashes = inputs.get_mm_hashes(processor.info.model_id, processor.info.ctx.get_mm_config().mm_hasher_algorithm)
    return _input(settings, ids, patches, grids, hashes)


def _input(
    settings: Settings, ids: list[int], patches: Sequence[Tensor], grids: Sequence[tuple[int, int]], hashes: Any
) -> Any:
    """vLLM's input: the pictures' patches, and the prompt with each picture's token repeated once per merged patch."""
    from vllm.inputs import mm_input
    from vllm.multimodal.inputs import MultiModalKwargsItem, MultiModalKwargsItems, PlaceholderRange

    tokens: list[int] = []
    places, items = [], []
    start = 0
    for pixels, (h, w) in zip(patches, grids, strict=True):
        at = ids.index(settings.token, start)
        tokens += ids[start:at]
        count = h * w // settings.cutter.merge**2
        places.append(PlaceholderRange(offset=len(tokens), length=count))
        tokens += [settings.token] * count
        start = at + 1
        data = {"pixel_values": pixels, "image_grid_thw": torch.tensor((1, h, w))}
        items.append(
            MultiModalKwargsItem({name: _filled(element, data[name]) for name, element in settings.elements.items()})
        )
    tokens += ids[start:]
    kwargs = MultiModalKwargsItems({"image": items})
    return mm_input(prompt_token_ids=tokens, mm_kwargs=kwargs, mm_hashes=hashes, mm_placeholders={"image": places})


def _filled(element: Any, data: Tensor) -> Any:
    """A field with a picture's data. Its slice has plain numbers, where vLLM's own has tensors."""
    field = element.field
    if hasattr(field, "slices"):
        field = dataclasses.replace(field, slices=[slice(0, len(data))])
    return dataclasses.replace(element, data=data, field=field)
