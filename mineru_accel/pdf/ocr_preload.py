"""Importing this loads what reading a line takes: the zygote does so where every worker will read one a page.

Half a second of CPU for each, and the model's memory, which they share then. ONNX Runtime with one thread a session
starts none, so that it may be forked.
"""

from __future__ import annotations

import numpy as np

from .ocr import read_line

read_line(np.full((48, 320, 3), 255, np.uint8))
