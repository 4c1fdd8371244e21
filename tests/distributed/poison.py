"""An actor that some document kills, for the test of Ray's retries."""

from __future__ import annotations

import os

from mineru_accel.distributed.actors import Convert
from mineru_accel.distributed.messages import PageBatch


class Fragile(Convert):
    def _convert(self, parts: list[PageBatch]) -> None:
        if any(part.document.name == "poison" for part in parts):
            os._exit(1)
        super()._convert(parts)
