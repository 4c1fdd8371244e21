"""Train the layout network for so many minutes on one accelerator, in legs that go on from each other.

``python -m samples.training.layout.train DATA OUT --minutes 7.5 [--resume FILE]``. DATA holds NAME.pdf and NAME.json,
FILE is a leg's ema.pt or exported weights. Writes OUT/ema.pt (averaged weights, float32) every minute,
and OUT/train.log. The schedule goes by time.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from pathlib import Path

import torch

from .augment import Pages, batch
from .dataset import SIDE, load
from .loss import dual_loss
from .network import Network


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=7.5, help="of training, rendering not counted")
    parser.add_argument(
        "--deadline", type=float, default=0, help="unix time at which training ends whatever was asked for"
    )
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--scale", default="n")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--imgsz", type=int, default=1024)
    parser.add_argument("--small", type=float, default=0.15, help="share of the time at 5/8 of the size")
    parser.add_argument("--plain", type=float, default=0.2, help="share of the time at the end with no composites")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=int, default=10**9, help="documents")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = (args.out / "train.log").open("a")

    def say(text: str) -> None:
        print(text, flush=True)
        print(text, file=log, flush=True)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start = time.time()
    images, boxes, families = [], [], []
    for image, box, family in load(args.data, args.workers, args.limit):
        images.append(image)
        boxes.append(box)
        families.append(family)
    pages = Pages(images, boxes, device, SIDE)
    counts = torch.bincount(pages.boxes[..., 0][pages.boxes[..., 0] >= 0].long(), minlength=10).tolist()
    say(
        f"{len(images)} pages ({families.count('docbank')} DocBank) in {time.time() - start:.0f} s; "
        f"regions by class {counts}"
    )
    del images, boxes
    is_docbank = torch.tensor([f == "docbank" for f in families], device=device)

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(int(time.time()))
    net = Network(args.scale).to(device)
    if args.resume:
        resume(net, args.resume)
    net.train()
    ema = copy.deepcopy(net).eval()
    decay_groups = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW(
        [{"params": decay_groups, "weight_decay": 0.02}, {"params": others, "weight_decay": 0}],
        lr=args.lr, betas=(0.9, 0.98),
        fused=device.type == "cuda",
    )  # fmt: skip
    # Pages with regions of the rarer classes come up more often.
    rare = torch.tensor([0, 0, 0, 0.5, 0.7, 0.5, 1.0, 1.3, 0.15, 0.2], device=device)
    present = torch.stack([(pages.boxes[..., 0] == c).sum(1).clamp(max=3) for c in range(10)], 1).float()
    weights = 1 + (present * rare).sum(1).clamp(max=5)
    shares = (len(pages.portrait), len(pages.landscape))

    def draw(progress: float) -> tuple[torch.Tensor, tuple[int, int]]:
        """Page indices of one orientation and the canvas for them."""
        long = args.imgsz * 5 // 8 // 32 * 32 if progress < args.small else args.imgsz
        tall = torch.rand(1).item() < shares[0] / sum(shares)
        pool = pages.portrait if tall else pages.landscape
        n = args.batch * (2 if progress < args.small else 1)
        index = pool[torch.multinomial(weights[pool], n, replacement=True)]
        short = long * 3 // 4 if tall or torch.rand(1).item() < 0.3 else long * 5 // 8
        short = short // 32 * 32
        return index, ((long, short) if tall else (short, long))

    def step(progress: float) -> torch.Tensor:
        index, size = draw(progress)
        x, labels, targets = batch(pages, index, size, 1.0, 0.25 if progress < 1 - args.plain else 0.0)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            heads = net(x)
        loss, parts = dual_loss(heads, size, labels, targets)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        opt.step()
        return torch.cat((parts, loss.detach()[None]))

    net.to(memory_format=torch.channels_last)
    ema.to(memory_format=torch.channels_last)
    averaged, current = floats(ema), floats(net)
    begin = time.time()
    length = args.minutes * 60
    if args.deadline:
        length = min(length, args.deadline - begin)
    say(f"training for {length:.0f} s, {int(is_docbank.sum())} of {len(is_docbank)} pages from DocBank")
    steps, seen, total, saved_at = 0, 0, torch.zeros(7, device=device), begin
    while (now := time.time()) - begin < length:
        progress = (now - begin) / length
        lr = (
            args.lr
            * min(1.0, (steps + 1) / (100 if args.resume else 300))
            * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        )
        for g in opt.param_groups:
            g["lr"] = lr
        total += step(progress)
        seen += args.batch * (2 if progress < args.small else 1)
        steps += 1
        keep = 1 - 1 / ((100 if args.resume else 10) + steps / 4)
        if steps % 2 == 0:
            torch._foreach_lerp_(averaged, current, 1 - keep**2)
        if steps % 100 == 0:
            mean = (total / 100).tolist()
            total.zero_()
            if not math.isfinite(mean[-1]):
                raise SystemExit("the loss is not a number")
            say(
                f"{now - begin:5.0f} s step {steps} pages {seen} lr {lr:.2e} box, class, side: "
                f"many {mean[0]:.3f} {mean[1]:.3f} {mean[2]:.3f} one {mean[3]:.3f} {mean[4]:.3f} {mean[5]:.3f} "
                f"sum {mean[6]:.3f}"
            )
        if now - saved_at > 60:
            save(ema, args.out / "ema.pt")
            saved_at = now
    save(ema, args.out / "ema.pt")
    say(f"done: {steps} steps, {seen} pages, {time.time() - start:.0f} s in all")


def resume(net: Network, path: Path) -> None:
    """Load a leg's checkpoint, or exported weights: there the one-to-many head starts as a copy of the other."""
    if path.suffix != ".safetensors":
        net.load_state_dict(torch.load(path, map_location="cpu"))
        return
    from safetensors.torch import load_file

    missing = net.load_state_dict(load_file(path), strict=False).missing_keys
    head = net.model[-1]
    if any(not k.endswith("num_batches_tracked") and ".cv2." not in k and ".cv3." not in k for k in missing):
        raise SystemExit(f"{path}: weights of another architecture")
    head.cv2.load_state_dict(head.one2one_cv2.state_dict())  # type: ignore[union-attr, operator]
    head.cv3.load_state_dict(head.one2one_cv3.state_dict())  # type: ignore[union-attr, operator]


def floats(net: Network) -> list[torch.Tensor]:
    """Parameters and BatchNorm statistics."""
    return [v.detach() for v in (*net.parameters(), *net.buffers()) if v.dtype.is_floating_point]


def save(net: Network, path: Path) -> None:
    """Atomically."""
    partial = path.with_suffix(".tmp")
    torch.save(
        {k: v.float().cpu() if v.dtype.is_floating_point else v.cpu() for k, v in net.state_dict().items()}, partial
    )
    partial.replace(path)


if __name__ == "__main__":
    main()
