"""``mineru-accel bench vlm``: crops per second of the VLM's engine, by configuration, each in a process of its own.

Work: random crops, greedy decoding, a fixed number of tokens. The logits of the first token are compared with those of
the first configuration, then the rate is measured. A configuration that computes something else has no figure.
``--together`` starts three at once, each with a share of the memory, and measures them one after the other: most of the
time goes into starting. ``--gpus 1,2`` is one more configuration: an engine on each of two GPUs, in a process of its
own, as in a conversion; in turn the first one answers its share alone, and both answer twice as much. All other
configurations use the first GPU only.
Two correct computations in bfloat16 differ by nearly 1e-2, so the configuration ``float32`` tells more: against it ours
should err as the defaults do. On a CPU all runs are eager and in float32, to try the benchmark itself.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_FAILED, EXIT_OK, UsageError
from ...hardware import accelerator
from ...vlm.vllm_host.arguments import merge, parse
from ...workers import owner_watch
from .logits import TOLERANCE, against_float32
from .processes_in_turn import job_file, measure_in_turn
from .vllm_configurations import SHARED_GPU_ARGUMENTS, configurations, gpu_scaling

_JOB_OPTIONS = ("crops", "mixed", "tokens", "in_flight", "sampling", "repeats", "stacks", "profile")
"""Arguments that every job has."""


def run(argv: Sequence[str]) -> int:
    """Measure the configurations and print a table; each result goes to ``--out`` as soon as it is known."""
    args = _parser().parse_args(argv)
    wanted = _wanted_configurations(args)
    out = args.out or Path(tempfile.mkdtemp(prefix="bench-vlm-"))
    out.mkdir(parents=True, exist_ok=True)
    jobs = _jobs(args, wanted, out)
    at_once = max(1, args.at_once) if args.together else 1
    limits = {name: getattr(args, name) for name in ("ready", "limit", "deadline")}
    rows = []
    for row in measure_in_turn(list(jobs.values()), _start, at_once=at_once, **limits):
        rows.append(row)
        with (out / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(_line(row), flush=True)
    for name in jobs.keys() - {row["name"] for row in rows}:
        print(f"{name}: not started, {args.deadline:.0f} s are over", flush=True)
    table = _table(rows)
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    print("\n" + table + "\n" + best_configuration(rows) + against_float32(_reference(args, out).parent), flush=True)
    return EXIT_OK if len(rows) == len(jobs) and all("rate" in row for row in rows) else EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mineru-accel bench vlm", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the checkpoint")
    parser.add_argument("--configs", default="defaults,graphs,ours,ours-2,ours-3", help="default: %(default)s")
    parser.add_argument(
        "--gpus", metavar="N,N", help="rates of these numbers of GPUs in turn; of engines where there is no GPU"
    )
    parser.add_argument("--add", action="append", default=[], metavar="NAME=JSON", help="one more configuration")
    parser.add_argument("--vllm-arg", action="append", default=[], metavar="K=V", help="for all but the baselines")
    parser.add_argument("--crops", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--size", default="1400x150", metavar="WxH", help="pixels; default: %(default)s")
    parser.add_argument("--mixed", action="store_true", help="sizes as on pages of papers instead")
    parser.add_argument("--tokens", type=int, default=70, help="tokens of each answer; default: %(default)s")
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
    parser.add_argument("--profile", type=float, default=0, metavar="SECONDS", help="profile each GPU's kernels")
    parser.add_argument("--out", type=Path, help="folder for results.jsonl and each configuration's log")
    return parser


def _wanted_configurations(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Configurations by name, in the order of the arguments.

    Raises:
        UsageError: for an unknown name, or an ``--add`` that is not NAME=JSON.
    """
    known = configurations()
    for text in args.add:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--add {text!r}: expected NAME=JSON")
        known[name] = json.loads(value)
    wanted = [name for name in args.configs.split(",") if name] + [text.partition("=")[0] for text in args.add]
    if args.gpus:
        known["gpus"] = gpu_scaling(args.gpus)
        wanted.append("gpus")
    if missing := [name for name in wanted if name not in known]:
        raise UsageError(f"no configuration is called {missing[0]!r}; there are {', '.join(known)}")
    return {name: known[name] for name in wanted}


def _reference(args: argparse.Namespace, out: Path) -> Path:
    """File of the first configuration's logits."""
    return args.reference or out / "reference.json"


def _jobs(args: argparse.Namespace, wanted: dict[str, dict[str, Any]], out: Path) -> dict[str, dict[str, Any]]:
    """Job of each configuration: all that its process must know."""
    width, height = (int(part) for part in args.size.split("x"))
    common = {
        **{name: getattr(args, name) for name in _JOB_OPTIONS},
        **{"model": str(args.model), "size": [width, height]},
        "reference": str(_reference(args, out)),
    }
    cpu = accelerator.accelerator().kind == "cpu"
    exact = {"enforce_eager": True, "dtype": "float32"} if cpu else {}
    jobs = {}
    for name, config in wanted.items():
        if config.get("ours"):
            config = {**config, "args": merge(config.get("args", {}), parse(args.vllm_arg))}
        if args.together:
            config = {**config, "args": merge(config.get("args", {}), SHARED_GPU_ARGUMENTS)}
        config = {**config, "args": merge(exact, config.get("args", {}))}
        jobs[name] = {
            **common,
            "devices": None if cpu else [0],
            **config,
            "name": name,
            "result": str(out / f"{name}.json"),
        }
    return jobs


def _start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mineru_accel.bench.vlm.engine_measurement", json.dumps(job)]
    environment = {**os.environ, **job.get("env", {}), owner_watch.VARIABLE: owner_watch.owner_id()}
    with job_file(job, "log").open("wb") as log:
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


def best_configuration(rows: list[dict[str, Any]]) -> str:
    """A line with the fastest of the configurations that compute the same."""
    good = [row for row in rows if "rate" in row and row.get("error_logits", math.inf) <= TOLERANCE]
    if not good:
        return "no configuration computes what the first does"
    best, base = max(good, key=lambda row: row["rate"]), next((r for r in good if r["name"] == "defaults"), None)
    times = f", {best['rate'] / base['rate']:.2f} times the defaults' {base['rate']:.1f}" if base else ""
    return f"best: {best['name']}, {best['rate']:.1f} crops/s, GPU busy {best['busy']:.0f} %{times}"


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


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
