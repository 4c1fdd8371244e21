"""Trains the recogniser on one or several GPUs, for a number of minutes, on packs that may still be arriving.

    python -m samples.training.formula.train DATA OUT --minutes 9

DATA: pack.py's packs and vocab.json. OUT gets train.log, model.safetensors (the weights' running average, float16,
every two minutes and at the end) and held.jsonl, slice.jsonl, lines.jsonl (answers to the test formulas). The
schedule runs over --minutes; a file OUT/minutes holding a number changes them on the way. Several GPUs: one process
each, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set (leg.sh does). --smoke: a minute on a CPU."""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import save_file

from samples.training.formula import augment, crops, pages, score, tokens, weightfile
from samples.training.formula.flat import Flat
from samples.training.formula.network import Recogniser

EVERY = 20  # steps between looks at the clock, the data and the loss
_start = time.time()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--cells", type=int, default=98304, help="positions of the encoder a step and GPU")
    parser.add_argument("--first-cells", type=int, default=49152, help="the same while formulas are short")
    parser.add_argument("--short", type=float, default=0.4, help="million short formulas to begin with")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warm", type=int, default=300, help="steps")
    parser.add_argument("--decay", type=float, default=0.05, help="of weights")
    parser.add_argument("--freeze", type=float, default=0.6, help="batch norms' statistics stay from this part on")
    parser.add_argument("--bag", type=float, default=0.5, help="weight of the loss on the set of tokens")
    parser.add_argument("--mask", type=float, default=0.1, help="share of the decoder's input masked; falls to half")
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--resume", type=Path, help="weights of an earlier leg, of either kind")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--gib", type=float, default=90, help="of pictures on a GPU")
    parser.add_argument("--probe", type=float, default=20, help="seconds between probes")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--blocks", type=int, nargs=2, default=(6, 4))
    parser.add_argument("--stem", type=int, default=32)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/formula-cache"))
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    if args.smoke:
        args.width, args.blocks, args.stem, args.cells, args.first_cells = 128, (2, 2), 16, 6144, 6144
        args.workers, args.gib, args.warm, args.probe = args.workers or 1, 0.6, 40, 20
    return args


class Log:
    """Lines to the screen and to a file, with the seconds since the start; silent on all GPUs but the first."""

    def __init__(self, path, rank):
        self.file = None if rank else open(path, "a", encoding="utf-8")  # noqa: SIM115

    def __call__(self, *words):
        if self.file:
            line = f"[{time.time() - _start:6.1f}] " + " ".join(str(word) for word in words)
            print(line, flush=True)
            print(line, file=self.file, flush=True)


class Probe:
    """Whether the picture is read: short held-out formulas with their own and with each other's pictures.

    `share` is the part of the encoder's output variance that depends on the picture, `gap` how many nats a token the
    wrong picture costs, `exact` how many answers are right."""

    def __init__(self, store, amp, most=256):
        index = np.flatnonzero((store.length <= crops.SHORT) & (store.height < 100))
        store.keep(np.random.default_rng(7).permutation(index)[:most])
        self.store, self.amp = store, amp
        self.batches = [batch for batch in crops.plan_test(store, 32768) if len(batch[0]) > 1]

    @torch.no_grad()
    def __call__(self, model):
        model.eval()
        right = wrong = share = count = exact = 0.0
        number = sum(len(batch[0]) for batch in self.batches)
        for batch in self.batches:
            ids = self.store.targets(batch[0]).to(self.store.device)
            image = augment.plain(self.store, batch)
            with self.amp:
                memory = model.encode(image)
                answers, _ = model.generate(image, crops.SHORT + 2)
                losses = []
                for k in (0, len(ids) // 2):
                    logits = model.decode(ids[:, :-1], memory.roll(k, 0)).float()
                    losses.append(
                        F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0, reduction="sum")
                    )
            right, wrong = right + float(losses[0]), wrong + float(losses[1])
            count += int((ids[:, 1:] > 0).sum())
            memory = memory.float()
            share += float(memory.var(0).mean() / memory.pow(2).mean()) * len(ids) / number
            exact += sum(_cut(row) == self.store.answer(k) for k, row in zip(batch[0], answers.tolist(), strict=True))
        return right / count, (wrong - right) / count, share, exact / number


def _cut(ids):
    return ids[: ids.index(tokens.EOS)] if tokens.EOS in ids else ids


@torch.no_grad()
def test(model, store, amp, path, log, name):
    """Answers to a whole test set: scores to the log, each answer to `path`."""
    model.eval()
    pairs, began = [], time.time()
    with open(path, "w", encoding="utf-8") as file:
        for batch in crops.plan_test(store, 65536):
            with amp:
                ids, sure = model.generate(augment.plain(store, batch))
            for k, row, likely in zip(batch[0], ids.tolist(), sure.tolist(), strict=True):
                truth = [model.vocab[t] for t in store.answer(k)]
                answer = [model.vocab[t] for t in _cut(row) if 3 < t < len(model.vocab)]
                pairs.append((truth, answer))
                row = {"truth": tokens.join(truth), "answer": tokens.join(answer), "sure": round(likely, 4)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for line in score.summary(pairs):
        log("TEST", name, line)
    log("TEST", name, f"{time.time() - began:.0f} s")


def save(flat, vocab, path, args, step, seen):
    """The average's weights and the statistics in float16, with the vocabulary and the sizes."""
    half = {name: value.detach().half().contiguous().cpu() for name, value in flat.named().items()}
    notes = {"vocab": json.dumps(vocab), "step": str(step), "seen": str(seen), "width": str(args.width)}
    notes |= {"encoder": str(args.blocks[0]), "decoder": str(args.blocks[1]), "stem": str(args.stem)}
    save_file(half, str(path) + ".part", notes)
    os.replace(str(path) + ".part", path)


def main():
    args = arguments()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "train.log", rank)
    if args.resume:
        resumed, notes = weightfile.read(args.resume)
        vocab = json.loads(notes["vocab"])
    else:
        vocab = json.loads((args.data / "vocab.json").read_text(encoding="utf-8"))
    workers = args.workers or max(1, (os.cpu_count() - world) // world)
    # The processes that draw are forked before anything touches the GPU.
    library = pages.Library(args.data, args.cache / str(rank), vocab, workers, seed=17 + rank)
    log("documents", library.look(), "workers", workers, "of", world, device)
    if device == "cuda":
        torch.cuda.set_device(rank)
        device = "cuda"
    if world > 1:
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    torch.manual_seed(1)
    rng = np.random.default_rng(1000 + rank)
    torch.backends.cuda.enable_cudnn_sdp(False)  # plans 17 ms for every new shape
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    amp = torch.autocast(device, torch.bfloat16, enabled=device == "cuda")

    model = Recogniser(vocab, args.width, *args.blocks, args.stem).to(device)
    flat = Flat(model)
    if args.resume:
        log("resumed, but for", flat.load(resumed))
    sizes = {n: sum(p.numel() for p in getattr(model, n).parameters()) / 1e6 for n in ("stem", "encoder", "decoder")}
    log(f"parameters {flat.count / 1e6:.2f} M", {n: round(v, 2) for n, v in sizes.items()}, "vocabulary", len(vocab))
    lr = torch.tensor(args.lr, device=device)
    wide, narrow = flat.weights[: flat.decayed], flat.weights[flat.decayed :]
    wide.grad, narrow.grad = flat.gradient[: flat.decayed], flat.gradient[flat.decayed : flat.count]
    groups = [{"params": [wide], "weight_decay": args.decay}, {"params": [narrow], "weight_decay": 0.0}]
    fused = device == "cuda"
    optimizer = torch.optim.AdamW(groups, lr=lr if fused else args.lr, betas=(0.9, 0.98), eps=1e-8, fused=fused)

    probe = None
    if rank == 0:
        store = crops.Store(0.3, device)
        store.add(library.test("slice"))
        probe = Probe(store, amp, 256 if fused else 48)
        log("probe on", len(probe.store), "short formulas")
    store = crops.Store(args.gib, device)
    torch.manual_seed(100 + rank)

    step, seen, frozen, part, full = 0, 0, bool(args.resume), 0.0, False
    waited, plans, shown, minutes = 0.0, iter(()), 0, args.minutes
    stats, counted, clock, probed, saved = [], 0, time.time(), time.time(), time.time()
    spoilt = torch.zeros((), device=device)
    while True:
        if step % EVERY == 0 or len(store) == 0:
            if not full:
                chunks = library.ready()
                full = bool(chunks) and not store.add(chunks)
                if full:
                    log("the pictures' memory is full:", len(store))
                    library.pool.terminate()
                elif library.look():
                    log("documents", len(library.documents))
                if not full and not library.waiting and library.passes < 4:
                    library.again()
            if (len(store) < 2000 and not args.smoke) or len(store) == 0:
                time.sleep(0.3)
                waited += 0.3
                continue
            if len(store) > 1.5 * shown:
                shown, plans = len(store), iter(())
                log(f"data: {shown} formulas, {store.used / 2**30:.2f} GiB, waited {waited:.0f} s")
            # All processes learn the first one's clock with the last step's gradient: they change together.
            if step:
                part = float(flat.gradient[flat.count])
            if part >= 1:
                break
            if rank == 0 and (args.out / "minutes").exists():
                minutes = float((args.out / "minutes").read_text() or minutes)
            if part > args.freeze and not frozen:
                frozen = True
                if world > 1:
                    dist.all_reduce(flat.statistics)
                    flat.statistics /= world
                log("batch norms frozen at step", step)
            model.set_training(frozen)
        batch = next(plans, None)
        if batch is None:
            early = seen < args.short * 1e6
            plans = crops.plan(store, rng, args.first_cells if early else args.cells, crops.SHORT if early else 0)
            if early:
                plans = plans[: max(1, len(plans) // 4)]  # more may have come by then
            plans = iter(plans)
            continue

        ids = store.targets(batch[0]).to(device, non_blocking=True)
        image = augment.worn(store, batch, rng)
        shown_ids = ids[:, :-1]
        masked = args.mask * (1 - 0.5 * min(1.0, 1.5 * part))
        hide = (torch.rand(shown_ids.shape, device=device) < masked) & (shown_ids > tokens.EOS)
        shown_ids = torch.where(hide, tokens.MASK, shown_ids)
        before = None if frozen else flat.statistics.clone()
        flat.gradient.zero_()
        with amp:
            memory = model.encode(image)
            logits = model.decode(shown_ids, memory).float()
            loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
            bag = model.bag_loss(memory, ids)
        (loss + args.bag * bag).backward()
        if rank == 0:
            flat.gradient[flat.count] = world * (time.time() - _start) / (60 * minutes)
        if world > 1:
            dist.all_reduce(flat.gradient)
            flat.gradient /= world
        real = flat.gradient[: flat.count]
        norm = real.norm()
        fine = torch.isfinite(norm)
        spoilt += ~fine
        real.nan_to_num_(0.0, 0.0, 0.0)
        real.mul_(torch.where(fine, (1.0 / (norm + 1e-6)).clamp(max=1.0), 0.0))
        if before is not None:
            flat.statistics.copy_(torch.where(fine, flat.statistics, before))
        clocked = flat.gradient[flat.count].clamp(max=1.0)
        rate = args.lr * min(1.0, (step + 1) / args.warm) * (0.5 + 0.5 * torch.cos(math.pi * clocked)) + 1e-6
        if fused:
            lr.copy_(rate)
        else:
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
        optimizer.step()
        with torch.no_grad():
            flat.average.lerp_(flat.weights, 1 - min(args.average, (step + 1) / (step + 20)))
        step, seen, counted = step + 1, seen + world * len(ids), counted + len(ids)
        stats.append(torch.stack([loss.detach(), bag.detach()]))

        if rank == 0 and step % EVERY == 0 and time.time() - clock > (10 if fused else 5):
            loss_, bag_ = torch.stack(stats).float().nan_to_num(99).mean(0).tolist()
            spent = time.time() - clock
            log(
                f"step {step} loss {loss_:.4f} bag {bag_:.3f} skipped {int(spoilt)} lr {float(rate):.2e}"
                f" norm {float(norm):.2f} | {world * counted / spent:.0f} formulas/s {len(stats) / spent:.1f} steps/s,"
                f" last {len(ids)} of"
                f" {image.shape[2]}x{image.shape[3]}, seen {seen / 1e6:.2f} M, data {len(store)}, part {part:.3f}"
            )
            stats, counted, clock = [], 0, time.time()
        if rank == 0 and time.time() - probed > args.probe:
            began = time.time()
            right, gap, share, exact = probe(model)
            model.set_training(frozen)
            log(f"PROBE step {step} loss {right:.3f} gap {gap:.3f} share {share:.4f} exact {exact:.3f}")
            probed = time.time()
            clock += probed - began
            if fused and probed - _start > 180:
                args.probe = 60
        if rank == 0 and time.time() - saved > 110 and not args.smoke:
            save(flat, vocab, args.out / "model.safetensors", args, step, seen)
            saved = time.time()

    log(f"trained {step} steps, {seen / 1e6:.2f} M formulas, {len(store)} pictures, waited {waited:.0f} s")
    if world > 1 and not frozen:
        dist.all_reduce(flat.statistics)
        flat.statistics /= world
    library.pool.terminate() if rank else None
    if rank == 0:
        save(flat, vocab, args.out / "model.safetensors", args, step, seen)
        flat.weights.copy_(flat.average)
        log("PROBE of the average: loss {:.3f} gap {:.3f} share {:.4f} exact {:.3f}".format(*probe(model)))
        del store
        for kind in pages.TESTS[:1] if args.smoke else pages.TESTS:
            tests = crops.Store(0.5 if fused else 0.1, device)
            tests.add(library.test(kind))
            if args.smoke:
                tests.keep(np.arange(min(12, len(tests))))
            test(model, tests, amp, args.out / f"{kind}.jsonl", log, kind)
        log("done")
        library.pool.terminate()
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
