"""Importing this loads what reading a line takes: the zygote does so where every worker will read one a page.

Half a second of CPU and 60 MB that workers share then. ONNX Runtime with one thread a session starts none, so that it may
be forked.
"""

from __future__ import annotations

import contextlib

import numpy as np

from .ocr import read_line

with contextlib.suppress(Exception):  # the pages that can't do without say so
    read_line(np.full((48, 320, 3), 255, np.uint8))
