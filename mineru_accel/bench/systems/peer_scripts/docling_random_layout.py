"""Random weights in the shape of docling's layout model (RT-DETRv2, 42.8 M parameters), where its own can't be had.

Run with docling's Python: ``python docling_random_layout.py DIR``, then set ``DOCLING_ARTIFACTS_PATH=DIR``. Good for
timing the layout stage, for nothing else: what it finds is noise.
"""

import sys
from pathlib import Path

import torch
from transformers import RTDetrImageProcessor, RTDetrV2Config, RTDetrV2ForObjectDetection

LABELS = """caption footnote formula list_item page_footer page_header picture section_header table text title
document_index code checkbox_selected checkbox_unselected form key_value_region""".split()

folder = Path(sys.argv[1])
model_folder = folder / "docling-project--docling-layout-heron"
torch.manual_seed(0)
config = RTDetrV2Config(id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)})
RTDetrV2ForObjectDetection(config).save_pretrained(model_folder)
RTDetrImageProcessor().save_pretrained(model_folder)
(folder / "RANDOM_WEIGHTS").write_text("made by docling_random_layout.py\n")
