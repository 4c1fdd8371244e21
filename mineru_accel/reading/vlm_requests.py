"""The crops that the VLM is asked about, put into the page's slot of the arena."""

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
"""Pixels; MinerU renders pages so, and its VLM was trained on that."""


def page_image(key: Key, index: int) -> Image.Image:
    """A page as MinerU's VLM expects it.

    Raises:
        InputError: if it can't be loaded.
    """
    with open_page(key, index) as page:
        return Image.fromarray(render(page, min(_DPI / 72, _MAX_SIDE / max(page.get_size()))))


def waiting(draft: Draft) -> list[PageBlock]:
    """The blocks that wait for the VLM, in reading order."""
    return [block for block in draft.blocks if block.task]


def as_mineru_blocks(blocks: Sequence[PageBlock]) -> list[dict[str, object]]:
    """Blocks with a task as MinerU's client takes them."""
    tasks = [block.task for block in blocks if block.task]
    return [{"type": task.kind, "bbox": list(task.bbox), "angle": task.angle} for task in tasks]


class Slot:
    """The page's place in the arena, and the form in which the engine takes pictures.

    Args:
        number, size: of the slot, in slots and bytes.
        png: whether the engine takes PNG files.
        cutter: cuts pictures into patches, if the engine takes those.
    """

    def __init__(self, number: int, size: int, png: bool, cutter: Cutter | None) -> None:
        self._number, self._size, self._cutter = number, size, cutter
        self.png = png

    def store(self, asked: Sequence[mineru_client.VlmRequest], kinds: Sequence[str]) -> list[Crop]:
        """Requests with their pixels in the arena, or in the crops themselves where that has no room."""
        crops = []
        offset = 0
        for one, kind in zip(asked, kinds, strict=True):
            data, size, grid = self._encoded(one.picture)
            inside = arena.write_bytes(self._number, self._size, offset, data)
            own = None if inside else bytes(data)
            crops.append(Crop(kind, one.prompt, one.sampling, size, offset, len(data), own, grid))
            offset += len(data) if inside else 0
        return crops

    def _encoded(
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


def ask_layout(key: Key, index: int, slot: Slot) -> list[Crop]:
    """The crop of the whole page, for the VLM's own layout."""
    return slot.store([mineru_client.ask_layout(page_image(key, index), slot.png)], ["[layout]"])


def ask_content(key: Key, draft: Draft, describe: bool, slot: Slot) -> list[Crop]:
    """The crops of a draft's waiting blocks; a block that MinerU's client would not ask about waits no longer.

    Args:
        describe: whether pictures and charts are read.
    """
    for block in waiting(draft):
        assert block.task
        if not mineru_client.usable(block.task.kind, block.task.bbox):
            block.task, block.source = None, Source.IMAGE
    blocks = waiting(draft)
    if not blocks:
        return []
    image = page_image(key, draft.index)
    draft.size = image.size
    asked, owners = mineru_client.ask_content(image, as_mineru_blocks(blocks), slot.png, describe)
    tasks = [blocks[n].task if n is not None else None for n in owners]
    return slot.store(asked, [task.kind if task else "text" for task in tasks])


def patches_of(picture: Image.Image, cutter: Cutter) -> tuple[bytes | memoryview, tuple[int, int] | None]:
    """A picture's patches and their rows and columns; its pixels and None if its shape is one the engine refuses, or
    nothing can be cut here: a torchvision that does not go with torch raises RuntimeError."""
    try:
        patches, grid = cut(picture, cutter)
    except (ValueError, ImportError, RuntimeError):
        return picture.tobytes(), None
    return patches.numpy().data.cast("B"), grid


def _png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
