"""Importing this loads the OCR model: the zygote does so if every worker will read a line of each page.

Forked workers then share the model's memory and save half a second of CPU each. ONNX Runtime sessions with one thread
start no thread, so that the process may be forked.
"""

from __future__ import annotations

import numpy as np

from .ocr import read_line

read_line(np.full((48, 320, 3), 255, np.uint8))
