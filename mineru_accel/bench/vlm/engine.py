"""``mineru-accel bench vlm``: crops per second of the VLM's engine, by configuration, each in a process of its own.

Work: random crops, greedy, a fixed number of tokens out. First the equality of what comes out (logits of the first
token against vLLM's defaults without patches), then the rate. A configuration that computes something else has no
figure. ``--together`` starts three at once, each with a share of the memory, and measures them one after the other:
most of the time goes into starting. ``--gpus 1,2`` is one more configuration: an engine on each of two GPUs, in
a process of its own, as in a conversion; in turn the first one answers its share alone, and both answer twice as much.
All others have one GPU, the first.
Two right ways of computing in bfloat16 are nearly 1e-2 apart, so the configuration
``float32`` tells more: against it ours should err as the defaults do. On a CPU everything runs eagerly and in float32,
to try the benchmark itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import EXIT_FAILED, EXIT_OK, UsageError
from ...hardware import accelerator, gpus
from ...patches import selected
from ...vlm.engines import vllm
from ...vlm.vllm_host.arguments import graphs, merge, parse
from ...vlm.vllm_host.process import apply
from ...workers import owner_watch
from ..report import stacks
from . import alternate, gpu_profile, requests
from .cutting import Cutters
from .gpu_utilization import Busy

AS_MINERU = {
    "limit_mm_per_prompt": {"image": 1, "video": 0},
    "max_num_seqs": 512,
    "max_model_len": 8192,
    "mm_processor_cache_gb": 0,
    "enable_prefix_caching": False,
    "disable_log_stats": True,
    "gpu_memory_utilization": 0.5,
}
"""As ../shared/gpu/bench_vllm_baseline.py: vLLM's defaults, caches off because every crop is new."""
SHARE = {"gpu_memory_utilization": 0.09, "kv_cache_memory_bytes": 4 << 30}
"""Of one of up to nine engines on an H200: 4 GiB hold the keys and values of 350 000 tokens."""
_PIECES = {"compilation_config": {"cudagraph_mode": "FULL_AND_PIECEWISE"}}
"""vLLM's default: CUDA graphs from attention to attention for steps that read crops (ours on Hopper hold all)."""
_WORKER = {"distributed_executor_backend": "mp"}
"""The scheduler in one process and the model's runner in another: each step's Python on two cores."""
TOLERANCE = 1e-2
"""Relative error of the first token's logits."""
_COMPARED, _CROWD = 4, 64
"""Pictures whose logits are compared, and pictures in all."""
_CUTTERS = 8
"""Processes that cut crops, as a conversion's workers do."""
_UNDER_WAY = 1.5
"""Seconds after which an engine does what it does most of the time."""

_OF_JOBS = ("crops", "mixed", "tokens", "in_flight", "sampling", "repeats", "stacks", "profile")


Logits = list[dict[str, float]]
"""For each picture: token -> logit, of the greatest."""


def configurations() -> dict[str, dict[str, Any]]:
    """Name -> {"args", "patches", "replicas", "devices", "ours", "env"} or any of a job's other entries (crops,
    in_flight, repeats); ``ours`` starts from our engine's own arguments."""
    graphs = {"compilation_config": {"cudagraph_mm_encoder": True}}
    return {
        "defaults": {"args": AS_MINERU, "patches": "none"},
        "graphs": {"args": merge(AS_MINERU, graphs), "patches": "none"},
        "ours": {"ours": True},
        "ours-2": {"ours": True, "replicas": 2},
        "ours-3": {"ours": True, "replicas": 3},
        "pieces": {"ours": True, "args": _PIECES},
        "worker": {"ours": True, "args": _WORKER},
        "ours-v2": {"ours": True, "args": {"logits_processors": []}},  # vLLM's second model runner takes no processors
        "ours-8k": {"ours": True, "args": _step(8192)},
        "ours-3k": {"ours": True, "args": _step(3072)},
        "started": {"ours": True, "args": _step(8192, up_to=512)},  # mixed steps kernel by kernel
        "one-process": {"ours": True, "apart": False},
        "ours-1024": {"ours": True, "args": {"max_num_seqs": 1024}},
        "ours-256": {"ours": True, "args": {"max_num_seqs": 256}},
        "unfused": {"ours": True, "patches": _without("vllm-vit-fused")},
        "two-frames": {"ours": True, "patches": _without("vllm-uint8-pixels")},
        "graphs-mended": {"ours": True, "patches": "vllm-fast-processor,vllm-vit-graphs"},
        "eager": {"ours": True, "patches": _without("vllm-vit-graphs")},
        "streamed": {"ours": True, "patches": _without("vllm-final-outputs")},
        "scheduled": {"ours": True, "patches": _without("vllm-decode-steps")},
        "processor": {"ours": True, "patches": "vllm-fast-processor"},
        "unpatched": {"ours": True, "patches": "none"},
        "float32": {"args": merge(AS_MINERU, {"dtype": "float32"}), "patches": "none"},
    }


def _step(tokens: int, up_to: int | None = None) -> dict[str, Any]:
    """Arguments for steps of at most so many tokens, with CUDA graphs of all or of those up to a size."""
    config = {"cudagraph_capture_sizes": graphs(up_to or tokens)}
    return {"max_num_batched_tokens": tokens, "compilation_config": config}


def _without(patch: str) -> str:
    """All patches but one, by name."""
    return ",".join(name for name in selected("auto") if name != patch)


def run(argv: Sequence[str]) -> int:
    """Measure and print a table; one JSON line a configuration goes to ``--out`` as soon as it is there."""
    if argv and argv[0] == "--child":
        asyncio.run(_child(json.loads(argv[1])))
        return EXIT_OK
    parser = argparse.ArgumentParser(prog="mineru-accel bench vlm", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the checkpoint")
    parser.add_argument("--configs", default="defaults,graphs,ours,ours-2,ours-3", help="default: %(default)s")
    parser.add_argument("--gpus", metavar="N,N", help="rates of so many GPUs in turn; of engines where there is no GPU")
    parser.add_argument("--add", action="append", default=[], metavar="NAME=JSON", help="one more configuration")
    parser.add_argument("--vllm-arg", action="append", default=[], metavar="K=V", help="for all but the baselines")
    parser.add_argument("--crops", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--size", default="1400x150", metavar="WxH", help="pixels; default: %(default)s")
    parser.add_argument("--mixed", action="store_true", help="sizes as on pages of papers instead")
    parser.add_argument("--tokens", type=int, default=70, help="out of each crop; default: %(default)s")
    parser.add_argument("--in-flight", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--sampling", choices=["greedy", "mineru"], default="greedy", help="mineru: its penalties")
    parser.add_argument("--repeats", type=int, default=2, help="the best counts; default: %(default)s")
    parser.add_argument("--together", action="store_true", help="start several at once, then measure them in turn")
    parser.add_argument("--at-once", type=int, default=3, metavar="N", help="with --together; default: %(default)s")
    parser.add_argument("--ready", type=float, default=240, help="seconds for the start of each; default: %(default)s")
    parser.add_argument("--limit", type=float, default=180, help="seconds to measure each; default: %(default)s")
    parser.add_argument("--deadline", type=float, default=math.inf, help="seconds for all; what is ready is measured")
    parser.add_argument(
        "--reference",
        type=Path,
        help="file of the first configuration's logits, read if it is there; all others' are kept beside it",
    )
    parser.add_argument("--stacks", type=float, default=0, metavar="SECONDS", help="sample each one's stacks (py-spy)")
    parser.add_argument("--profile", type=float, default=0, metavar="SECONDS", help="each GPU's kernels for so long")
    parser.add_argument("--out", type=Path, help="folder for results.jsonl and each configuration's log")
    args = parser.parse_args(argv)
    known = configurations()
    for text in args.add:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--add {text!r}: expected NAME=JSON")
        known[name] = json.loads(value)
    wanted = [name for name in args.configs.split(",") if name] + [text.partition("=")[0] for text in args.add]
    if args.gpus:
        known["gpus"] = _scaling(args.gpus)
        wanted.append("gpus")
    if missing := [name for name in wanted if name not in known]:
        raise UsageError(f"no configuration is called {missing[0]!r}; there are {', '.join(known)}")
    out = args.out or Path(tempfile.mkdtemp(prefix="bench-vlm-"))
    out.mkdir(parents=True, exist_ok=True)
    width, height = (int(part) for part in args.size.split("x"))
    common = {
        **{name: getattr(args, name) for name in _OF_JOBS},
        **{"model": str(args.model), "size": [width, height]},
        "reference": str(args.reference or out / "reference.json"),
    }
    cpu = accelerator.accelerator().kind == "cpu"
    exact = {"enforce_eager": True, "dtype": "float32"} if cpu else {}
    jobs = {}
    for name in dict.fromkeys(wanted):
        config = known[name]
        if config.get("ours"):
            config = {**config, "args": merge(config.get("args", {}), parse(args.vllm_arg))}
        if args.together:
            config = {**config, "args": merge(config.get("args", {}), SHARE)}
        config = {**config, "args": merge(exact, config.get("args", {}))}
        jobs[name] = {
            **common,
            "devices": None if cpu else [0],
            **config,
            "name": name,
            "result": str(out / f"{name}.json"),
        }
    at_once = max(1, args.at_once) if args.together else 1
    limits = {name: getattr(args, name) for name in ("ready", "limit", "deadline")}
    rows = []
    for row in alternate.measure(list(jobs.values()), _start, at_once=at_once, **limits):
        rows.append(row)
        with (out / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(_line(row), flush=True)
    for name in jobs.keys() - {row["name"] for row in rows}:
        print(f"{name}: not started, {args.deadline:.0f} s are over", flush=True)
    table = _table(rows)
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    print("\n" + table + "\n" + _best(rows) + against_float32(Path(common["reference"]).parent), flush=True)
    return EXIT_OK if len(rows) == len(jobs) and all("rate" in row for row in rows) else EXIT_FAILED


def _scaling(text: str) -> dict[str, Any]:
    """The configuration that compares so many GPUs.

    Raises:
        UsageError: if ``text`` is no list of numbers like ``1,2``, or there are not so many.
    """
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise UsageError(f"--gpus {text}: expected numbers of GPUs, like 1,2")
    if accelerator.accelerator().kind == "cpu":
        return {"ours": True, "gpus": counts, "replicas": max(counts)}

    if (there := gpus.visible()) < max(counts):
        raise UsageError(f"--gpus {text}: {there} are there")
    return {"ours": True, "gpus": counts, "devices": list(range(max(counts)))}


def _start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mineru_accel.bench.vlm.engine", "--child", json.dumps(job)]
    environment = {**os.environ, **job.get("env", {}), owner_watch.VARIABLE: owner_watch.offer()}
    with alternate.file(job, "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _line(row: dict[str, Any]) -> str:
    if "rate" not in row:
        return f"{row['name']}: {row.get('error', 'no result')}"
    by_gpus = "".join(
        f"\n  {count} GPUs: {each['rate']:.1f} crops/s, {each.get('times', 0):.2f} times the first; of {each['rates']}"
        for count, each in row.get("gpus", {}).items()
    )
    fronts = f" and {row['front_cpu']}" if row.get("front_cpu") else ""
    return (
        f"{row['name']}: {row['rate']:.1f} crops/s, {row['tokens_s']:.0f} tokens/s, busy {row['busy']:.0f} % "
        f"(before: {row.get('busy_before', float('nan')):.0f} %), "
        f"logits {row.get('error_logits', float('nan')):.1e}, start {row['start_s']:.0f} s, "
        f"client CPU {row['client_cpu']:.2f}{fronts}, engine CPU {row['engine_cpu']}, rates {row['rates']}{by_gpus}"
    )


def _best(rows: list[dict[str, Any]]) -> str:
    good = [row for row in rows if "rate" in row and row.get("error_logits", math.inf) <= TOLERANCE]
    if not good:
        return "no configuration computes what the first does"
    best, base = max(good, key=lambda row: row["rate"]), next((r for r in good if r["name"] == "defaults"), None)
    times = f", {best['rate'] / base['rate']:.2f} times the defaults' {base['rate']:.1f}" if base else ""
    return f"best: {best['name']}, {best['rate']:.1f} crops/s, GPU busy {best['busy']:.0f} %{times}"


def against_float32(folder: Path) -> str:
    """A line with each configuration's error against float32's logits, if these have been taken; else nothing."""
    files = {path.stem.removeprefix("logits-"): path for path in sorted(folder.glob("logits-*.json"))}
    known = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items()}
    truth = known.pop("float32", None)
    if truth is None:
        return ""
    return "\nlogits against float32: " + ", ".join(f"{name} {error(of, truth):.1e}" for name, of in known.items())


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| configuration | crops/s | tokens/s | GPU busy | first token's logits: relative error | start |"]
    lines.append("|---" * 6 + "|")
    for row in rows:
        if "rate" not in row:
            lines.append(f"| {row['name']} | {row.get('error', 'no result')} | | | | |")
            continue
        wrong = row.get("error_logits", 0.0) > TOLERANCE
        rate = f"({row['rate']:.1f}: computes something else)" if wrong else f"{row['rate']:.1f}"
        lines.append(
            f"| {row['name']} | {rate} | {row['tokens_s']:.0f} | {row['busy']:.0f} % "
            f"| {row.get('error_logits', 0):.1e} | {row['start_s']:.0f} s |"
        )
    return "\n".join(lines)


async def _child(job: dict[str, Any]) -> None:
    """One configuration: start, compare, measure; the result is written after each step."""
    from ...vlm.vllm_host.supervisor import EngineSupervisor

    owner_watch.hold()  # ends with the benchmark, and its engine with it
    os.environ[owner_watch.VARIABLE] = owner_watch.offer()
    row: dict[str, Any] = {}

    def save() -> None:
        new = alternate.file(job, "new")
        new.write_text(json.dumps(row), encoding="utf-8")
        new.replace(job["result"])  # whole or not at all: this process may be killed

    images = _crops(job | {"crops": job["crops"] * max(job.get("gpus", [1]))})
    cutters = Cutters(images, _CUTTERS) if job.get("ours") else None  # before anything that must not be forked
    started = time.perf_counter()
    extra: dict[str, Any] = {"logprobs_mode": "raw_logits", "max_logprobs": requests.LOGITS}
    traces = alternate.file(job, "traces")
    if job["profile"]:
        extra |= gpu_profile.arguments(traces)
    if job.get("ours"):
        engine = EngineSupervisor(
            job["model"],
            args=merge(job.get("args", {}), extra),
            replicas=job.get("replicas", 1),
            patches=job.get("patches", "auto"),
            devices=job["devices"],
            apart=job.get("apart"),
        )
        await engine.start()
        row["patches"] = await apply(engine.llm, requests.patches)
        row["worker"] = {
            name: text.partition(":")[0] for name, text in (await engine.patch_states() or [{}])[0].items()
        }
        llms, close = engine.llms, engine.close
    else:
        llms, close = _plain(merge(job["args"], extra) | {"model": job["model"]})
    row["start_s"] = time.perf_counter() - started
    if cutters:
        job["cut"] = await _cut(llms, cutters)
    try:
        save()
        alternate.file(job, "ready").touch()
        while not alternate.file(job, "go").exists():
            await asyncio.sleep(0.2)
        with Busy(job["devices"]) as before:
            await asyncio.sleep(0.5)
        row["busy_before"] = before.mean()
        compared = llms if job.get("gpus") else llms[:1]
        row["error_logits"] = max([await _compare(llm, images, Path(job["reference"]), job) for llm in compared])
        save()
        await _rate(llms, images[: max(64, len(images) // 8)], job | {"tokens": 16})
        if job.get("gpus"):
            await _compare_gpus(llms, images, job, row, save)
            return
        runs = []
        for _ in range(job["repeats"]):
            runs.append(await _rate(llms, images, job))
            best = max(runs, key=lambda r: r["rate"])
            row.update(best, rates=[round(r["rate"], 1) for r in runs])
            save()
        if job["stacks"]:
            with stacks.sampled(await _processes(llms), alternate.file(job, "stacks"), job["stacks"]):
                await _rate(llms, images, job)
        if job["profile"]:
            work = asyncio.create_task(_rate(llms, images, job))
            await asyncio.sleep(_UNDER_WAY)
            found = await apply(llms[0], gpu_profile.profiled, job["profile"], traces)
            alternate.file(job, "kernels").write_text(found + "\n", encoding="utf-8")
            await work
    finally:
        await close()
        if cutters:
            cutters.close()


async def _cut(llms: list[Any], cutters: Cutters) -> Callable[[int], Awaitable[Any]] | None:
    """What hands a crop over as the workers of a conversion do: cut into patches. None where vLLM cuts them itself."""
    how = {await apply(llm, vllm.cutter) for llm in llms}
    return partial(cutters.cut, cutter=how.pop()) if len(how) == 1 and None not in how else None


async def _compare_gpus(
    llms: list[Any], images: list[Any], job: dict[str, Any], row: dict[str, Any], save: Callable[[], None]
) -> None:
    """The rates of so many engines, in turn, each with its share of the work; ``row`` gets the best of the most."""
    runs: dict[int, list[dict[str, Any]]] = {count: [] for count in job["gpus"]}
    for _ in range(job["repeats"]):
        for count, done in runs.items():
            devices = job["devices"][:count] if job["devices"] else None
            part = job | {"in_flight": job["in_flight"] * count, "devices": devices}
            done.append(await _rate(llms[:count], images[: job["crops"] * count], part))
            row["gpus"] = {n: _median(each) for n, each in runs.items() if each}
            most = max(row["gpus"])
            row.update(max(runs[most], key=lambda r: r["rate"]), rates=row["gpus"][most]["rates"])
            save()
    first = row["gpus"][job["gpus"][0]]["rate"]
    for found in row["gpus"].values():
        found["times"] = found["rate"] / first
    save()


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Crops a second in the middle of some runs, and of each."""
    rates = [run["rate"] for run in runs]
    return {"rate": statistics.median(rates), "rates": [round(rate, 1) for rate in rates]}


def _plain(arguments: dict[str, Any]) -> tuple[list[Any], Any]:
    os.environ.pop("MINERU_ACCEL_PATCHES", None)
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))

    async def close() -> None:
        llm.shutdown()

    return [llm], close


def _crops(job: dict[str, Any]) -> list[Any]:
    """Pictures of noise with lines of text, all different."""
    import numpy as np
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    sizes = [tuple(job["size"])] * job["crops"]
    if job["mixed"]:  # paragraphs of one and two columns, headings, formulas, captions, tables
        choices = [(1400, 150), (700, 420), (700, 200), (420, 56), (560, 84), (700, 112), (1400, 700), (224, 56)]
        sizes = [choices[i] for i in rng.integers(0, len(choices), job["crops"])]
    images = []
    for width, height in sizes:
        image = Image.fromarray(rng.integers(200, 255, (height, width, 3), dtype=np.uint8))
        draw = ImageDraw.Draw(image)
        for y in range(4, max(5, height - 10), 22):
            draw.text((4, y), "".join(rng.choice(list("abcdefghij klmnop"), width // 8)), fill=0)
        images.append(image)
    return images


async def _compare(llm: Any, images: list[Any], reference: Path, job: dict[str, Any]) -> float:
    """Relative error of the first token's logits of four pictures against the first configuration's (written if there
    is none yet): each alone, and all four in the same steps as the answers to other pictures."""
    first, ours = requests.first_logits, bool(job.get("ours"))
    pictures, others = images[:_COMPARED], images[_COMPARED:_CROWD]
    alone: Logits = [await apply(llm, first, picture, f"compare-{i}", ours) for i, picture in enumerate(pictures)]
    reference.parent.mkdir(parents=True, exist_ok=True)
    for path in (reference.with_name(f"logits-{job['name']}.json"), *(() if reference.exists() else (reference,))):
        path.write_text(json.dumps(alone), encoding="utf-8")
    answers = [apply(llm, requests.answer, p, f"beside-{i}", 8, False, ours) for i, p in enumerate(others)]
    among = [apply(llm, first, p, f"among-{i}", ours) for i, p in enumerate(pictures)]
    half = len(answers) // 2
    crowd = await asyncio.gather(*answers[:half], *among, *answers[half:])
    expected = json.loads(reference.read_text(encoding="utf-8"))
    return max(error(found, expected) for found in (alone, crowd[half : half + len(among)]))


def error(logits: Logits, reference: Logits) -> float:
    """The greatest relative error of all pictures; infinite if less than half of the great ones are the same."""
    errors = []
    for ours, theirs in zip(logits, reference, strict=True):
        common = ours.keys() & theirs.keys()
        if len(common) < len(theirs) / 2:
            return float("inf")
        difference = sum((ours[t] - theirs[t]) ** 2 for t in common)
        errors.append((difference / sum(theirs[t] ** 2 for t in common)) ** 0.5)
    return max(errors)


async def _rate(llms: list[Any], images: list[Any], job: dict[str, Any]) -> dict[str, Any]:
    tokens = job["tokens"]
    how = tokens, job["sampling"] == "mineru", bool(job.get("ours"))
    waiting = asyncio.Semaphore(job["in_flight"])
    processes = await _processes(llms)
    tag = f"{time.time_ns()}"

    async def one(i: int, image: Any) -> None:
        async with waiting:
            if job.get("cut"):
                image = await job["cut"](i)
            said = await apply(llms[i % len(llms)], requests.answer, image, f"{tag}-{i}", *how)
            assert said == tokens

    with Busy(job["devices"]) as busy:
        before, started = {name: _cpu(pid) for name, pid in processes.items()}, time.perf_counter()
        await asyncio.gather(*(one(i, image) for i, image in enumerate(images)))
        seconds = time.perf_counter() - started
    cpu = {name: round((_cpu(pid) - before[name]) / seconds, 2) for name, pid in processes.items()}
    return {
        "rate": len(images) / seconds,
        "tokens_s": len(images) * tokens / seconds,
        "busy": busy.mean(),
        "client_cpu": cpu["client"],
        "front_cpu": [share for name, share in cpu.items() if name.startswith("front")],
        "engine_cpu": [share for name, share in cpu.items() if name.startswith("core")],
    }


async def _processes(llms: list[Any]) -> dict[str, int]:
    """Name -> pid: this one, those that AsyncLLMs of their own are in, and each one's core."""
    found = {"client": os.getpid()}
    cores: list[int] = []
    for i, llm in enumerate(llms):
        pid, own = await apply(llm, requests.processes)
        cores += own
        if pid != os.getpid():
            found[f"front-{i}"] = pid
    return found | {f"core-{i}": pid for i, pid in enumerate(cores)}


def _cpu(pid: int) -> float:
    """Seconds of CPU a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
