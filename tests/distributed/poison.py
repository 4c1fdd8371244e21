"""An actor that some document kills, for the test of Ray's retries."""

from __future__ import annotations

import os

from mineru_accel.distributed.actors import Convert
from mineru_accel.distributed.messages import PageBatch


class Fragile(Convert):
    def convert(self, batches: list[PageBatch]) -> None:
        if any(batch.document.name == "poison" for batch in batches):
            os._exit(1)
        super().convert(batches)
