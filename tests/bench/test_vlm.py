"""Summaries and configurations of `bench vlm`, and the script that runs it on a GPU machine without network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from common import ROOT, wait_until

from mineru_accel import patches
from mineru_accel.bench.vlm import gpu_profile, random_checkpoint, stack_samples
from mineru_accel.bench.vlm.bench_vlm import best_configuration
from mineru_accel.bench.vlm.logits import against_float32, logit_error
from mineru_accel.bench.vlm.vllm_configurations import configurations

SCRIPT = ROOT / ".ci/gpu/measure.sh"


def test_time_of_kernels_that_overlap_counts_once_and_each_is_summed() -> None:
    """Two kernels that overlap by half, a gap, a copy; what the host does is left out."""
    events = [
        {"cat": "kernel", "name": "a", "ts": 0, "dur": 20},
        {"cat": "kernel", "name": "b", "ts": 10, "dur": 20},
        {"cat": "gpu_memcpy", "name": "copy", "ts": 80, "dur": 20},
        {"cat": "cpu_op", "name": "host", "ts": 0, "dur": 1000},
        {"name": "no category"},
    ]
    first, *kernels = gpu_profile.summary(events).splitlines()
    assert first.endswith("worked 50.0 %")
    assert [line.split()[0] for line in kernels] == ["20.00"] * 3
    assert gpu_profile.summary(events[3:]) == "nothing ran on a GPU"


def test_configurations_name_patches_that_exist() -> None:
    for name, config in configurations().items():
        patches.selected(config.get("patches", "auto"))
        assert config.get("ours") or config["args"], name
    known = configurations()
    assert "vllm-vit-fused" not in known["unfused"]["patches"] and "vllm-vit-graphs" in known["unfused"]["patches"]


def test_only_who_computes_the_same_is_best() -> None:
    rows = [
        {"name": "defaults", "rate": 80.0, "busy": 40.0, "error_logits": 0.0},
        {"name": "ours", "rate": 200.0, "busy": 91.0, "error_logits": 2e-3},
        {"name": "wrong", "rate": 300.0, "busy": 91.0, "error_logits": 0.5},
        {"name": "dead", "error": "no result"},
    ]
    assert best_configuration(rows) == "best: ours, 200.0 crops/s, GPU busy 91 %, 2.50 times the defaults' 80.0"
    assert best_configuration(rows[2:]) == "no configuration computes what the first does"


def test_errors_against_float32(tmp_path: Path) -> None:
    assert against_float32(tmp_path) == ""
    for name, logits in {"float32": [3.0, 4.0], "ours": [3.0, 4.05], "other": [4.0, 3.0]}.items():
        saved = [{"1": logits[0], "2": logits[1]}, {"1": 1.0, "2": 1.0}]
        (tmp_path / f"logits-{name}.json").write_text(json.dumps(saved))
    assert against_float32(tmp_path) == "\nlogits against float32: other 2.8e-01, ours 1.0e-02"
    assert logit_error([{"1": 1.0}], [{"2": 1.0, "3": 2.0}]) == float("inf")


def test_functions_seen_most() -> None:
    said = stack_samples.summary("main;step;sample 150\nmain;step 30\nmain;wait 20\n", seconds=2)
    assert said.splitlines()[:3] == ["-- itself", "  75.0 %  sample", "  15.0 %  step"]
    assert "100.0 %  main" in said and "  90.0 %  step" in said


def test_a_tiny_checkpoint_has_the_parts_of_a_real_one(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert random_checkpoint.run([str(tmp_path), "--tiny", "--dtype", "float32"]) == 0
    config = json.loads((tmp_path / "config.json").read_text())
    tokens = json.loads((tmp_path / "tokenizer.json").read_text())["added_tokens"]
    assert {t["content"]: t["id"] for t in tokens}["<|image_pad|>"] == config["image_token_id"]
    words = {random_checkpoint.word_of(n) for n in range(random_checkpoint.MINERU.words)}
    assert len(words) == random_checkpoint.MINERU.words


def test_what_calls_bring_to_the_gpu_machine_is_stored_and_installed_once(tmp_path: Path) -> None:
    """Four calls of ``install``, with a stand-in for Python; each finds what the earlier ones began."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    python.chmod(0o755)
    here = tmp_path / "tree"
    for number, bring in enumerate((".kit1/part1", ".kit2/part2", ".kit3/part3", ".kitw/a.whl")):
        tree = here / str(number)
        (tree / bring).parent.mkdir(parents=True)
        (tree / bring).write_text(bring)
        (tree / "mineru_accel").mkdir()
        (tree / "kernels").mkdir()
        environment = os.environ | {"AT": str(tmp_path / "at"), "OUT": str(tmp_path / "out"), "PY": str(python)}
        done = subprocess.run(["bash", SCRIPT, "install"], cwd=tree, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
    at = tmp_path / "at"
    assert wait_until(lambda: all((at / f"{n}.done").exists() for n in ("ckpt", "vllm", "wheels")))
    asked = (tmp_path / "asked").read_text().splitlines()
    assert sorted(line.split()[1] for line in asked) == ["mineru_accel.bench.vlm.random_checkpoint", "pip", "tarfile"]
    assert (at / "kit/vllm.tar.xz").read_text() == ".kit1/part1.kit2/part2.kit3/part3"
    code = "from importlib.metadata import entry_points as e; print([x.value for x in e(group='vllm.general_plugins')])"
    environment = os.environ | {"PYTHONPATH": str(at / "meta")}
    found = subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True).stdout
    assert "mineru_accel.patches.plugin:register" in found
