"""The crops that the VLM is to read, written into the page's slot of the arena."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..document import Source
from ..patches.image_patches import Cutter, cut
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from ..vlm import mineru_client
from ..vlm.types import Crop
from ..workers import arena
from .types import Draft, PageBlock

_DPI = 200
_MAX_SIDE = 3500
"""Longest side in pixels. MinerU renders pages at these two limits, and its VLM was trained on such images."""


def page_image(key: Key, index: int) -> Image.Image:
    """A page rendered as MinerU's VLM expects it.

    Raises:
        InputError: if the page can't be loaded.
    """
    with open_page(key, index) as page:
        return Image.fromarray(render(page, min(_DPI / 72, _MAX_SIDE / max(page.get_size()))))


def blocks_with_task(draft: Draft) -> list[PageBlock]:
    """The blocks that the VLM is to read, in reading order."""
    return [block for block in draft.blocks if block.task]


def as_mineru_blocks(blocks: Sequence[PageBlock]) -> list[dict[str, object]]:
    """Blocks with a task as MinerU's client takes them."""
    tasks = [block.task for block in blocks if block.task]
    return [{"type": task.kind, "bbox": list(task.bbox), "angle": task.rotation} for task in tasks]


class Slot:
    """The page's slot of the arena, and the format in which the engine takes pictures.

    Args:
        number: of the slot.
        size: of a slot in bytes.
        png: whether the engine takes PNG files.
        cutter: settings for cutting pictures into patches, if the engine takes patches.
    """

    def __init__(self, number: int, size: int, png: bool, cutter: Cutter | None) -> None:
        self._number, self._size, self._cutter = number, size, cutter
        self.png = png

    def store(self, asked: Sequence[mineru_client.VlmRequest], kinds: Sequence[str]) -> list[Crop]:
        """Crops of some requests; pixels that don't fit into the slot are kept in the crop itself.

        Args:
            asked: prompts and pictures.
            kinds: type of each one's region in MinerU's words.
        """
        crops = []
        offset = 0
        for request, kind in zip(asked, kinds, strict=True):
            data, size, grid = self._encode(request.picture)
            fits = arena.write_bytes(self._number, self._size, offset, data)
            own = None if fits else bytes(data)
            crops.append(Crop(kind, request.prompt, request.sampling, size, offset, len(data), own, grid))
            offset += len(data) if fits else 0
        return crops

    def _encode(
        self, picture: Image.Image | bytes
    ) -> tuple[bytes | memoryview, tuple[int, int], tuple[int, int] | None]:
        """A picture's bytes, its width and height in pixels, and its rows and columns of patches if it was cut."""
        if isinstance(picture, bytes):
            return picture, _png_size(picture), None
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        if self._cutter is None:
            return picture.tobytes(), picture.size, None
        data, grid = patches_of(picture, self._cutter)
        return data, picture.size, grid


def layout_crops(key: Key, index: int, slot: Slot) -> list[Crop]:
    """The crop of the whole page with the prompt for its layout.

    Raises:
        InputError: if the page can't be loaded.
    """
    return slot.store([mineru_client.layout_request(page_image(key, index), slot.png)], ["[layout]"])


def content_crops(key: Key, draft: Draft, describe: bool, slot: Slot) -> list[Crop]:
    """The crops of a draft's blocks with a task; blocks that MinerU's client would not send lose their task.

    Args:
        describe: whether the VLM describes pictures and charts.

    Raises:
        InputError: if the page can't be loaded.
    """
    for block in blocks_with_task(draft):
        assert block.task
        if not mineru_client.is_accepted(block.task.kind, block.task.bbox):
            block.task, block.source = None, Source.IMAGE
    blocks = blocks_with_task(draft)
    if not blocks:
        return []
    image = page_image(key, draft.index)
    draft.size = image.size
    asked, owners = mineru_client.content_requests(image, as_mineru_blocks(blocks), slot.png, describe)
    tasks = [blocks[n].task if n is not None else None for n in owners]
    return slot.store(asked, [task.kind if task else "text" for task in tasks])


def patches_of(picture: Image.Image, cutter: Cutter) -> tuple[bytes | memoryview, tuple[int, int] | None]:
    """A picture's patches and their rows and columns, or its pixels and None where it can't be cut.

    That is where the engine refuses its shape, or torch can't be used in this process.
    """
    try:
        patches, grid = cut(picture, cutter)
    except (ValueError, ImportError, RuntimeError):  # RuntimeError: a torchvision that does not go with torch
        return picture.tobytes(), None
    return patches.numpy().data.cast("B"), grid


def _png_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header of a PNG file."""
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
