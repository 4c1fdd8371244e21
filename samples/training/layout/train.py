"""Train the layout network for so many minutes on one accelerator, in legs that go on from each other.

``python -m samples.training.layout.train DATA OUT --minutes 13 [--resume FILE]``. DATA holds NAME.pdf and NAME.json, or
folders of them with a file READY, which are looked for again and again: pages that arrive later are trained on as soon
as they are rendered. FILE is a leg's ema.pt or exported weights. Writes OUT/ema.pt (averaged weights, float32) every
minute, so that an end at any time loses little, and OUT/train.log. The schedule goes by time.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import torch

from .augment import Pages, batch
from .dataset import SIDE, load
from .loss import dual_loss
from .network import Network

RARE = [0, 0, 0, 0.5, 0.7, 0.5, 1.0, 1.3, 0.15, 0.2]
"""How much oftener a page comes up for a region of each class."""
SHARE = {"docbank": 1.6, "real": 1.2}
"""The same by where a page is from; synthetic ones have 1."""


def feed(pages: Pages, data: Path, pool: Executor, say: Callable[[str], None], ready: threading.Event) -> None:
    """Load the folders under ``data`` that are READY, and those that become so later."""
    done: set[Path] = set()
    while True:
        folders = sorted(p.parent for p in data.glob("*/READY")) or ([data] if next(data.glob("*.pdf"), None) else [])
        for folder in folders:
            if folder in done:
                continue
            done.add(folder)
            start, before = time.time(), len(pages)
            try:
                for page in load(folder, pool):
                    if not pages.add(*page):
                        say("no room for more pages")
                        break
                    if len(pages) == 1500:
                        ready.set()
            except Exception as exc:  # what was loaded is trained on
                say(f"{folder}: {type(exc).__name__}: {exc}")
            say(f"{folder.name}: {len(pages) - before} pages in {time.time() - start:.0f} s")
        if done:
            ready.set()
        time.sleep(5)


class Sampler:
    """Draws pages of one orientation, those with rarer classes more often."""

    def __init__(self, pages: Pages, imgsz: int, batch_size: int) -> None:
        self.pages, self.imgsz, self.batch_size = pages, imgsz, batch_size
        self.count = 0
        self.refresh()

    def refresh(self) -> None:
        """Take in pages that were added."""
        n = len(self.pages)
        if n == self.count:
            return
        self.count = n
        labels, sizes = self.pages.boxes[:n, :, 0], self.pages.sizes[:n]
        present = torch.stack([(labels == c).sum(1).clamp(max=3) for c in range(10)], 1).float()
        weights = 1 + (present * torch.tensor(RARE, device=labels.device)).sum(1).clamp(max=5)
        share = torch.tensor([SHARE.get(f, 1.0) for f in self.pages.families[:n]], device=labels.device)
        self.weights = weights * share
        tall = sizes[:, 0] >= sizes[:, 1]
        self.pools = [tall.nonzero()[:, 0], (~tall).nonzero()[:, 0]]
        self.tall = len(self.pools[0]) / n

    def draw(self, small: bool) -> tuple[torch.Tensor, tuple[int, int]]:
        """Page indices and the canvas ``(height, width)`` for them: A4, narrower, or square."""
        long = self.imgsz * 5 // 8 if small else self.imgsz
        tall = torch.rand(1).item() < self.tall
        pool = self.pools[0 if tall else 1]
        index = pool[torch.multinomial(self.weights[pool], self.batch_size * (2 if small else 1), replacement=True)]
        shapes = (
            [(0.75, 0.62), (0.6875, 0.2), (0.5, 0.06), (1.0, 0.12)]
            if tall
            else [(0.75, 0.4), (0.59, 0.45), (1.0, 0.15)]
        )
        k = int(torch.multinomial(torch.tensor([p for _, p in shapes]), 1))
        long, short = long // 32 * 32, round(long * shapes[k][0]) // 32 * 32
        return index, ((long, short) if tall else (short, long))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=13, help="of training, the first pages' rendering not counted")
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
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--capacity", type=int, default=16000, help="pages the device has room for, 4.9 MB each")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = (args.out / "train.log").open("a")

    def say(text: str) -> None:
        line = f"{time.strftime('%T')} {text}"
        print(line, flush=True)
        print(line, file=log, flush=True)

    pool = ProcessPoolExecutor(args.workers)  # its processes must be there before CUDA and threads are
    list(pool.map(abs, range(args.workers)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pages = Pages(args.capacity, device, SIDE)
    ready = threading.Event()
    threading.Thread(target=feed, args=(pages, args.data, pool, say, ready), daemon=True).start()
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
    while not ready.wait(1.0):
        if args.deadline and time.time() > args.deadline:
            raise SystemExit("no pages came")
    sampler = Sampler(pages, args.imgsz, args.batch)

    def step(progress: float) -> torch.Tensor:
        index, size = sampler.draw(progress < args.small)
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
    say(f"training for {length:.0f} s on {len(pages)} pages so far: {dict(Counter(pages.families))}")
    steps, seen, total, saved_at = 0, 0, torch.zeros(7, device=device), begin
    while (now := time.time()) - begin < length:
        progress = (now - begin) / length
        warm = min(1.0, (steps + 1) / (100 if args.resume else 300))
        lr = args.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        for g in opt.param_groups:
            g["lr"] = lr
        total += step(progress)
        seen += args.batch * (2 if progress < args.small else 1)
        steps += 1
        keep = 1 - 1 / ((100 if args.resume else 10) + steps / 4)
        if steps % 2 == 0:
            torch._foreach_lerp_(averaged, current, 1 - keep**2)
        if steps % 50 == 0:
            sampler.refresh()
        if steps % 100 == 0:
            mean = (total / 100).tolist()
            total.zero_()
            if not math.isfinite(mean[-1]):
                raise SystemExit("the loss is not a number")
            say(
                f"{now - begin:5.0f} s step {steps} pages {seen} of {sampler.count} lr {lr:.2e} box, class, side: "
                f"many {mean[0]:.3f} {mean[1]:.3f} {mean[2]:.3f} one {mean[3]:.3f} {mean[4]:.3f} {mean[5]:.3f} "
                f"sum {mean[6]:.3f}"
            )
        if now - saved_at > 60:
            save(ema, args.out / "ema.pt")
            saved_at = now
    save(ema, args.out / "ema.pt")
    counts = torch.bincount(pages.boxes[..., 0][pages.boxes[..., 0] >= 0].long(), minlength=10).tolist()
    pool.shutdown(wait=False, cancel_futures=True)
    say(f"done: {steps} steps, {seen} pages of {dict(Counter(pages.families))}; regions by class {counts}")


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
