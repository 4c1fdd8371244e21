"""Letterboxing, pixel by pixel as doclayout_yolo's."""

from __future__ import annotations

import numpy as np
import pytest

from mineru_accel.layout.letterbox import Letterbox, as_rgb

SIZES = [
    (320, 226),
    (226, 320),
    (100, 100),
    (641, 480),
    (1, 1),
    (33, 1000),
    (477, 321),
    (320, 320),
    (319, 5),
    (999, 998),
]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("imgsz", [320, 352])
def test_as_the_package(package, height, width, imgsz):
    from doclayout_yolo.data.augment import LetterBox
    from doclayout_yolo.utils.ops import scale_boxes

    rng = np.random.default_rng(height * width)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    wanted = LetterBox((imgsz, imgsz), auto=True, stride=32)(image=image)
    box = Letterbox.fit(height, width, imgsz)
    assert box.shape == wanted.shape[:2]
    canvas = np.empty_like(wanted)
    box.draw(image, canvas)
    np.testing.assert_array_equal(canvas, wanted)

    boxes = rng.uniform(-20, imgsz + 20, (50, 4)).astype(np.float32)
    np.testing.assert_allclose(
        box.to_page(boxes), scale_boxes(wanted.shape[:2], boxes.copy(), (height, width)), rtol=1e-6, atol=1e-3
    )


def test_every_shape_is_a_multiple_of_the_stride():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(1, 3000, (300, 2)).tolist():
        box = Letterbox.fit(height, width, 320)
        assert box.shape[0] % 32 == box.shape[1] % 32 == 0, (height, width)
        assert max(box.shape) == 320, (height, width)
        assert 0 <= box.top <= box.shape[0] - box.inner[0] < 32, (height, width)
        assert 0 <= box.left <= box.shape[1] - box.inner[1] < 32, (height, width)


def test_a_page_of_layout_size_is_not_resized():
    box = Letterbox.fit(1024, 724, 1024)
    assert box.inner == (1024, 724)
    assert box.shape == (1024, 736)


def test_a_sliver_keeps_one_pixel():
    box = Letterbox.fit(1, 20000, 320)
    assert box.inner == (1, 320)
    canvas = np.empty((*box.shape, 3), np.uint8)
    box.draw(np.full((1, 20000, 3), 7, np.uint8), canvas)
    assert (canvas[box.top] == 7).all()


def test_as_rgb():
    assert as_rgb(np.zeros((4, 5), np.uint8)).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="uint8"):
        as_rgb(np.zeros((4, 5), np.float32))
