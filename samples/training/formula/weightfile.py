"""Files of weights: as train.py writes them (float16), or small, matrices in 8 bits with a scale for each row.

    python -m samples.training.formula.weightfile MODEL.safetensors SMALL.safetensors

Both are read alike. The small one is what the repository keeps: training goes on from it, graphs are made of it."""

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

SCALE = "#scale"
# Only training looks at it, and it may be learnt anew.
_LEFT_OUT = ("bag.",)


def read(path):
    """({name: float32 tensor}, {notes}) of either kind of file."""
    with safe_open(str(path), "pt") as file:
        notes = file.metadata()
        raw = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    named = {}
    for name, value in raw.items():
        if not name.endswith(SCALE):
            value, scale = value.float(), raw.get(name + SCALE)
            named[name] = value if scale is None else value * scale.view(-1, *[1] * (value.dim() - 1))
    return named, notes


def shrink(named):
    """{name: float32 tensor} -> the tensors of a small file."""
    out = {}
    for name, value in named.items():
        if name.startswith(_LEFT_OUT):
            continue
        if value.dim() < 2 or value.numel() < 4096:
            out[name] = value.half().contiguous()
            continue
        scale = (value.flatten(1).abs().amax(1) / 127).clamp(min=1e-8)
        small = (value / scale.view(-1, *[1] * (value.dim() - 1))).round()
        out[name], out[name + SCALE] = small.to(torch.int8).contiguous(), scale
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("small", type=Path)
    args = parser.parse_args()
    named, notes = read(args.model)
    args.small.parent.mkdir(parents=True, exist_ok=True)
    save_file(shrink(named), str(args.small), notes)
    print(
        json.dumps({key: value for key, value in notes.items() if key != "vocab"}), args.small.stat().st_size, "bytes"
    )


if __name__ == "__main__":
    main()
