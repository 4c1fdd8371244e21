"""Pictures cut into patches by workers: the same bytes as Hugging Face's processor makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mineru_accel.patches.image_patches import Cutter, cut
from mineru_accel.reading import vlm_requests

SIZES = [(1400, 150), (28, 28), (29, 27), (13, 700), (701, 11), (1, 1), (333, 777), (3000, 2100)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frames", [1, 2])
def test_patches_are_those_of_the_processor(size: tuple[int, int], frames: int) -> None:
    """Odd sizes, smaller and larger than the limits: bit for bit, the second frame being the first again."""
    from transformers import Qwen2VLImageProcessor

    limits = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}
    theirs = Qwen2VLImageProcessor(do_rescale=False, do_normalize=False, size=limits)
    cutter = Cutter(theirs.patch_size, theirs.merge_size, *limits.values(), int(theirs.resample))
    noise = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(noise)

    found, grid = cut(picture, cutter, frames)

    wanted = theirs(images=[picture], return_tensors="pt")
    assert [1, *grid] == wanted["image_grid_thw"][0].tolist()
    both = wanted["pixel_values"].view(len(found), 3, 2, 14 * 14)
    assert found.dtype is torch.uint8
    assert torch.equal(both[:, :, 0], both[:, :, 1])
    assert torch.equal(found.float(), both[:, :, :frames].flatten(1).float())


@pytest.mark.parametrize("error", [ImportError("no torchvision"), RuntimeError("torchvision::nms does not exist")])
def test_where_nothing_can_be_cut_the_picture_goes_whole(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(vlm_requests, "cut", fail)
    picture = Image.new("RGB", (3, 2), "red")
    assert vlm_requests.patches_of(picture, Cutter(14, 2, 56 * 56, 1 << 20, 3)) == (b"\xff\0\0" * 6, None)


def test_a_picture_200_times_as_long_as_high_is_refused() -> None:
    with pytest.raises(ValueError, match="200"):
        cut(Image.new("RGB", (2801, 14)), Cutter(14, 2, 56 * 56, 1 << 20, 3))
