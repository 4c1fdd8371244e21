"""Tiny Qwen2-VL checkpoints in MinerU2.5's shape: one of random weights, one that knows two synthetic pages by heart.

Nothing of them is committed: :func:`random_checkpoint` takes a second, :func:`trained_checkpoint` twenty of one core,
once a machine; it is kept in a cache folder under a name that depends on the text of this file and of
``mineru_accel.bench.vlm.random_checkpoint``. From the command line:
``python tests/vlm_checkpoints.py random FOLDER`` or ``trained``, which prints the folder.

The trained one gives wrong answers as soon as the pixels, the prompt or the patch embedding are wrong; the random one
(whose outputs depend on every weight) tells small numerical differences.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mineru_accel.bench.vlm import random_checkpoint as random_weights

DPI = 200
"""Of the pages as MinerU renders them."""
PAGE = (302.4, 403.2)
"""Points; 840 x 1120 pixels at :data:`DPI`."""


@dataclass(frozen=True)
class Block:
    """A region of a synthetic page."""

    label: str
    """As DocLayout-YOLO names it."""
    type: str
    """As MinerU's VLM names it."""
    bbox: tuple[int, int, int, int]
    """Thousandths of the page."""
    answer: str
    """What the trained checkpoint says of it."""
    text: str
    """What the PDF's text layer says: it differs in what only a VLM can write."""


PAGES: list[list[Block]] = [
    [
        Block("title", "title", (80, 50, 920, 120), "Annual Report", "Annual Report"),
        Block("plain text", "text", (80, 160, 920, 400), "Revenue grew by 12% in Q3.", "Revenue grew by 12% in Q3."),
        Block("table_caption", "table_caption", (80, 440, 920, 490), "Table 1. Growth", "Table 1. Growth"),
        Block("table", "table", (80, 510, 920, 900), "<fcel>a<fcel>b<nl><fcel>1<fcel>2<nl>", "a b 1 2"),
    ],
    [
        Block("plain text", "text", (60, 60, 940, 125), "Energy and mass are one.", "Energy and mass are one."),
        Block("isolate_formula", "equation", (120, 300, 800, 480), "\\[E=mc^{2}\\]", "E = mc2"),
        Block("formula_caption", "formula_number", (840, 350, 940, 430), "(1)", "(1)"),
        Block("plain text", "text", (60, 540, 940, 605), "Nothing else is known.", "Nothing else is known."),
    ],
]
_COLOURS = ("#c82828", "#1e783c", "#283cc8", "#a07814", "#5a1e8c", "#148ca0", "#505050", "#c85a96")

MARKDOWN = """\
# Annual Report

Revenue grew by 12% in Q3.

Table 1. Growth

| a | b |
| --- | --- |
| 1 | 2 |

Energy and mass are one.

$$
E=mc^{2}\\tag{1}
$$

Nothing else is known.
"""
"""What the two pages must become, whichever back end and engine read them."""


def pages_pdf(text_layer: bool = True) -> bytes:
    """The synthetic pages as a PDF.

    Args:
        text_layer: with it, hybrid can read the text from the PDF; without it, the same pixels come as a picture.
    """
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    out = io.BytesIO()
    pdf = canvas.Canvas(out, pagesize=PAGE, invariant=1)
    if not text_layer:
        for image in page_images():
            pdf.drawImage(ImageReader(image), 0, 0, *PAGE)
            pdf.showPage()
        pdf.save()
        return out.getvalue()
    width, height = PAGE
    for number, blocks in enumerate(PAGES):
        for place, block in enumerate(blocks):
            x0, y0, x1, y1 = (v / 1000 * s for v, s in zip(block.bbox, (width, height) * 2, strict=True))
            pdf.setStrokeColor(_COLOURS[4 * number + place])
            pdf.setFillColor(_COLOURS[4 * number + place])
            pdf.setLineWidth(1.5)
            pdf.rect(x0 + 1, height - y1 + 1, x1 - x0 - 2, y1 - y0 - 2)
            step = 5 + 2 * place + 3 * number  # a texture of its own per block, below its line of text
            y = y0 + 18.0
            while y + step / 2 < y1 - 4:
                pdf.rect(x0 + 5, height - y - step / 2, (x1 - x0 - 10) * (0.6 + 0.1 * (y * 7 % 4)), step / 2, 0, 1)
                y += step
            pdf.setFillColor("black")
            pdf.setFont("Helvetica", 12 if block.type == "title" else 9)
            pdf.drawString(x0 + 4, height - y0 - 14, block.text)
        pdf.showPage()
    pdf.save()
    return out.getvalue()


def page_images() -> list[Any]:
    """The pages' pixels (PIL, RGB) as the pipeline renders them."""
    import pypdfium2 as pdfium

    document = pdfium.PdfDocument(pages_pdf())
    return [page.render(scale=DPI / 72, rev_byteorder=True).to_pil().convert("RGB") for page in document]


def layout_answer(blocks: list[Block]) -> str:
    """What the trained checkpoint says when asked for a page's layout."""
    one = "<|box_start|>%03d %03d %03d %03d<|box_end|><|ref_start|>%s<|ref_end|><|rotate_up|>"
    return "".join(one % (*b.bbox, b.type) for b in blocks)


def random_checkpoint(folder: Path, *, dtype: str = "float32", seed: int = 0, max_pixels: int = 168 * 168) -> Path:
    """Write a random checkpoint of 1.7 M parameters into ``folder``. Two heads each of the real head dimensions."""
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    random_weights.write_configuration(folder, random_weights.TINY, dtype, max_pixels)
    generator = torch.Generator().manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_pretrained(folder)).float()
    with torch.no_grad():  # spread-out weights: outputs depend on image and prompt
        for name, p in model.named_parameters():
            if p.dim() > 1:
                gain = 2.0 if "visual" in name else 3.0 if "self_attn" in name else 1.0
                std = 0.1 if "embed_tokens" in name else gain / p[0].numel() ** 0.5
                p.copy_(torch.randn(p.shape, generator=generator) * std)
            elif name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=generator) * 0.1)
    save_file(
        random_weights.hub_names(model.to(getattr(torch, dtype))),
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    return folder


def trained_checkpoint() -> Path:
    """The checkpoint that knows :data:`PAGES` by heart, made now if this machine has none yet.

    Raises:
        RuntimeError: if training does not get there.
    """
    texts = Path(__file__).read_bytes() + Path(random_weights.__file__).read_bytes()
    key = hashlib.sha256(texts).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mineru-accel-tests"
    folder = cache / f"trained-{key}"
    if not (folder / "model.safetensors").exists():
        building = cache / f".building-{key}-{os.getpid()}"
        try:
            _train(building)
            if not folder.exists():
                building.rename(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


def _samples(jitter: int) -> list[tuple[Any, str, str]]:
    """(image, prompt, answer) of every request MinerU's client makes for the pages; crops moved by some pixels."""
    from mineru_vl_utils.mineru_client import DEFAULT_PROMPTS, DEFAULT_SAMPLING_PARAMS, MinerUClientHelper
    from mineru_vl_utils.structs import ContentBlock

    helper = MinerUClientHelper(
        *("transformers", DEFAULT_PROMPTS, DEFAULT_SAMPLING_PARAMS, (1036, 1036), 28, 50),
        *(False, True, False, False, False, False),
    )
    out: list[tuple[Any, str, str]] = []
    for image, page in zip(page_images(), PAGES, strict=True):
        out.append((helper.prepare_for_layout(image), DEFAULT_PROMPTS["[layout]"], layout_answer(page)))
        shift = jitter / 1000
        blocks = [ContentBlock(b.type, [v / 1000 + shift for v in b.bbox], angle=0) for b in page]
        crops, prompts, _, indices = helper.prepare_for_extract(image, blocks)
        out += [(c, p, page[i].answer) for c, p, i in zip(crops, prompts, indices, strict=True)]
    return out


def _train(folder: Path, steps: int = 400) -> None:
    import torch
    from safetensors.torch import save_file
    from torch.nn.functional import cross_entropy
    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

    torch.set_num_threads(1)  # its operations are too small for more
    random_checkpoint(folder)
    torch.manual_seed(0)
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                p.normal_(0, 0.02 if "embed_tokens" in name else p[0].numel() ** -0.5)
            elif name.endswith("bias"):
                p.zero_()
    batches = [_batch(processor, _samples(jitter)) for jitter in (0, 1, -1)]
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    started = time.process_time()
    worst = [9.0] * len(batches)
    for step in range(steps):
        number = step % len(batches)
        inputs, labels = batches[number]
        logits = model(**inputs).logits[:, :-1]
        each = cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100, reduction="none")
        counted = (labels[:, 1:] != -100).sum(1)
        loss = (each.sum(1) / counted).mean()
        loss.backward()
        worst[number] = each.max().item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if __name__ == "__main__" and step % 20 == 0:
            print(f"{step} loss {loss.item():.4f} worst {max(worst):.3f} {time.process_time() - started:.0f} s of CPU")
        if max(worst) < 0.1:
            break
    else:
        raise RuntimeError(f"the tiny VLM did not learn its pages: worst token loss {max(worst):.2f}")
    save_file(random_weights.hub_names(model), folder / "model.safetensors", metadata={"format": "pt"})


def _batch(processor: Any, samples: list[tuple[Any, str, str]]) -> tuple[dict[str, Any], Any]:
    """Model inputs and labels of all samples, padded to one length."""
    import torch

    texts, images, answers = [], [], []
    for image, prompt, answer in samples:
        messages = [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]},
        ]
        before = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        texts.append(before + answer + "<|im_end|>")
        images.append(image)
        answers.append(len(processor.tokenizer.encode(answer + "<|im_end|>", add_special_tokens=False)))
    inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")  # pads on the left
    labels = torch.full_like(inputs.input_ids, -100)
    for row, length in enumerate(answers):
        labels[row, -length:] = inputs.input_ids[row, -length:]
    return dict(inputs), labels


if __name__ == "__main__":
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if kind == "trained":
        print(trained_checkpoint())
    elif kind == "random" and len(sys.argv) > 2:
        print(random_checkpoint(Path(sys.argv[2])))
    else:
        sys.exit("usage: vlm_checkpoints.py trained | random FOLDER")
