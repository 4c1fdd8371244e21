"""Importing this imports what every worker needs before its first job, and makes the settings that belong to it."""

from __future__ import annotations

import logging
import os
import warnings

# Before MinerU is imported: it reads its settings then, and must neither write to ~/.mineru nor reach the network.
os.environ.setdefault("MINERU_MODEL_SOURCE", "local")

import cv2
from loguru import logger

from ..pdf import jobs as _pdf_jobs  # noqa: F401
from ..pdf import ocr as _ocr  # noqa: F401
from ..pdf import opening as _opening  # noqa: F401
from ..pdf import rendering as _rendering  # noqa: F401
from ..pdf import text_quality as _text_quality  # noqa: F401
from ..reading import jobs as _reading_jobs  # noqa: F401

cv2.setNumThreads(1)
logger.remove()  # workers speak through their results
logging.disable(logging.WARNING)  # pypdfium2 and pypdf have much to say about odd files
warnings.filterwarnings("ignore")
