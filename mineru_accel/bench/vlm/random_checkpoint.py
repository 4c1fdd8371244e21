"""Checkpoints of random weights in the shape of MinerU2.5: an engine's speed does not depend on its weights.

``python -m mineru_accel.bench.vlm.random_checkpoint FOLDER`` writes one of MinerU2.5's size (1.16 billion parameters,
2.3 GB in bfloat16; seconds on a GPU, a minute on a CPU), with ``--tiny`` one of 1.7 million.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import EXIT_OK
from ...hardware import gpus

# The order is Qwen2-VL's (151643..151656), then come tokens that mineru_vl_utils parses.
SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> "
    "<|ref_start|> <|ref_end|> <|rotate_up|> <|rotate_right|> <|rotate_down|> <|rotate_left|> <|txt_contd_tgt|> "
    "<|txt_contd|> <|class_start|> <|class_end|> <|sub_class_start|> <|sub_class_end|> <|caption_start|> "
    "<|caption_end|> <|content_start|> <|content_end|>"
).split()
OTSL = "<fcel> <ecel> <lcel> <ucel> <xcel> <nl>".split()
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Shape:
    """Sizes of a Qwen2-VL: language model, then vision tower."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    tied: bool
    """Input and output embeddings share their weights."""
    tower_depth: int
    tower_width: int
    tower_heads: int
    words: int = 256
    """Ordinary tokens. The first 256 are bytes; the tokenizer never produces the others, the model may."""
    vocabulary: int | None = None
    """Rows of the embeddings; None for the number of tokens."""


TINY = Shape(128, 256, 2, 2, 1, False, 2, 160, 2)
"""Heads as wide as MinerU2.5's, two of each."""
MINERU = Shape(896, 4864, 24, 14, 2, True, 32, 1280, 16, words=151643, vocabulary=151936)
"""MinerU2.5-2509-1.2B and MinerU2.5-Pro-2605-1.2B."""


def run(argv: Sequence[str]) -> int:
    """Write a checkpoint and print its size."""
    parser = argparse.ArgumentParser(prog="python -m mineru_accel.bench.vlm.random_checkpoint", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    args = parser.parse_args(argv)
    count = write(args.folder, TINY if args.tiny else MINERU, args.dtype)
    print(f"{args.folder}: {count / 1e6:.1f} million random parameters, {args.dtype}")
    return EXIT_OK


def write(folder: Path, shape: Shape = MINERU, dtype: str = "bfloat16") -> int:
    """Write a checkpoint of random weights, as transformers initializes them; its number of parameters."""
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    write_configuration(folder, shape, dtype)
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device("cuda" if gpus.usable() else "cpu"):
            model = Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_pretrained(folder))
    finally:
        torch.set_default_dtype(before)
    model = model.to(getattr(torch, dtype)).cpu()
    weights = hub_names(model)
    if shape.tied:
        weights.pop("lm_head.weight", None)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return sum(p.numel() for p in model.parameters())


def hub_names(model: Any) -> dict[str, Any]:
    """The state dict as hub checkpoints name it (visual.*, model.layers.*, lm_head.*), not as transformers 5 does."""
    return {
        k.replace("model.visual.", "visual.", 1).replace("model.language_model.", "model.", 1): v.contiguous()
        for k, v in model.state_dict().items()
    }


def write_configuration(folder: Path, shape: Shape, dtype: str, max_pixels: int = 1605632) -> None:
    """Write all files of a checkpoint but the weights: in one flat folder, as hub checkpoints of Qwen2-VL are."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(shape.words)
    token = tokenizer.token_to_id
    tokenizer.save(str(folder / "tokenizer.json"))
    files: dict[str, dict[str, Any]] = {
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "add_prefix_space": False,
            "add_bos_token": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "split_special_tokens": False,
            "model_max_length": 16384,
            "padding_side": "left",
            "chat_template": _CHAT_TEMPLATE,
            "additional_special_tokens": SPECIAL[1:],
        },
        "chat_template.json": {"chat_template": _CHAT_TEMPLATE},
        "preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2VLProcessor",
            "min_pixels": 3136,
            "max_pixels": max_pixels,
            "size": {"shortest_edge": 3136, "longest_edge": max_pixels},
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "do_resize": True,
            "do_rescale": True,
            "do_normalize": True,
            "do_convert_rgb": True,
            "resample": 3,
            "rescale_factor": 1 / 255,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
        "generation_config.json": {
            "do_sample": False,
            "bos_token_id": token("<|endoftext|>"),
            "pad_token_id": token("<|endoftext|>"),
            "eos_token_id": [token("<|im_end|>"), token("<|endoftext|>")],
        },
        "config.json": {
            "architectures": ["Qwen2VLForConditionalGeneration"],
            "model_type": "qwen2_vl",
            "attention_dropout": 0.0,
            "hidden_act": "silu",
            "initializer_range": 0.02,
            "bos_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
            "image_token_id": token("<|image_pad|>"),
            "video_token_id": token("<|video_pad|>"),
            "vision_start_token_id": token("<|vision_start|>"),
            "vision_end_token_id": token("<|vision_end|>"),
            "vision_token_id": token("<|vision_pad|>"),
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.key_value_heads,
            "max_window_layers": shape.layers,
            "max_position_embeddings": 16384,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0,
            "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
            "sliding_window": None,
            "use_sliding_window": False,
            "use_cache": True,
            "tie_word_embeddings": shape.tied,
            "torch_dtype": dtype,
            "vocab_size": shape.vocabulary or tokenizer.get_vocab_size(),
            "vision_config": {
                "model_type": "qwen2_vl",
                "depth": shape.tower_depth,
                "embed_dim": shape.tower_width,
                "hidden_size": shape.hidden,
                "hidden_act": "quick_gelu",
                "mlp_ratio": 4,
                "num_heads": shape.tower_heads,
                "in_channels": 3,
                "in_chans": 3,
                "patch_size": 14,
                "spatial_patch_size": 14,
                "spatial_merge_size": 2,
                "temporal_patch_size": 2,
            },
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _tokenizer(words: int) -> Any:
    """Byte-level BPE without merges, Qwen2-VL's special tokens and OTSL's."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocabulary = dict.fromkeys(sorted(pre_tokenizers.ByteLevel.alphabet()))
    for number in range(words - len(vocabulary)):
        vocabulary[word_of(number)] = None
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(vocabulary)}, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in OTSL])
    return tokenizer


def word_of(number: int) -> str:
    """Four letters, different for each of the first 456 976 numbers."""
    letters = []
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters.append(_LETTERS[letter])
    return "".join(letters)


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
