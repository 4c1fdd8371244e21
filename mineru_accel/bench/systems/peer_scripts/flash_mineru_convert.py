"""Flash-MinerU over some files: ``python flash_mineru_convert.py OUT FILES...``, with the settings of its README."""

import os
import sys

import torch

if not torch.cuda.is_available():
    sys.exit("needs a GPU (it starts vLLM on it), and its torch sees none here")
if not os.environ.get("FLASH_MINERU_MODEL"):
    sys.exit("needs MinerU2.5's weights: set FLASH_MINERU_MODEL to their folder")

from flash_mineru import MineruEngine

MineruEngine(
    model=os.environ["FLASH_MINERU_MODEL"],
    batch_size=16,
    replicas=torch.cuda.device_count(),
    num_gpus_per_replica=0.9,
    inflight=4,
    save_dir=sys.argv[1],
).run(sys.argv[2:])
