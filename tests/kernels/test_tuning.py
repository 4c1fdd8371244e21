"""How a winner is chosen, and that wrong numbers never become a speed-up."""

import argparse

import pytest
import torch

CPU = torch.device("cpu")


@pytest.fixture
def problem():
    from accel_kernels.problems import conv_problem

    return conv_problem(1, 6, 5, 16, 3, 2, torch.float32, CPU)


def tuned(problem, monkeypatch, times, failures=()):
    """tune() with invented times per implementation."""
    from accel_kernels import tuning

    def measure(problem, implementation, config, truth, repeat_ms):
        failure = "wrong" if implementation in failures else ""
        return tuning.Measured(implementation, config, times[implementation], 0.0, failure)

    monkeypatch.setattr(tuning, "measure", measure)
    return tuning.tune(problem, [{"BM": 32}])[0]


def test_fastest_wins_and_ties_go_to_the_vendor(problem, monkeypatch):
    entry = tuned(problem, monkeypatch, {"triton": 1.0, "vendor": 1.2, "phase": 2.0})
    assert (entry["implementation"], entry["config"]) == ("triton", {"BM": 32})
    assert tuned(problem, monkeypatch, {"triton": 1.0, "vendor": 1.02, "phase": 2.0})["implementation"] == "vendor"
    assert tuned(problem, monkeypatch, {"triton": 1.0, "vendor": 1.2, "phase": 0.5})["implementation"] == "phase"


def test_wrong_results_cannot_win(problem, monkeypatch):
    times = {"triton": 0.1, "vendor": 1.2, "phase": 2.0}
    assert tuned(problem, monkeypatch, times, ["triton"])["implementation"] == "vendor"
    with pytest.raises(RuntimeError, match="no implementation"):
        tuned(problem, monkeypatch, times, times)


def test_the_choice_is_remembered(problem, monkeypatch):
    from accel_kernels.shape_cache import SHAPES

    tuned(problem, monkeypatch, {"triton": 1.0, "vendor": 1.2, "phase": 2.0})
    choice = SHAPES.lookup(problem.op, CPU, torch.float32, *problem.key)
    assert (choice.implementation, choice.config, choice.tier) == ("triton", {"BM": 32}, "user exact")


def test_nan_is_an_error():
    from accel_kernels.tuning import relative_rms

    y = torch.ones(4)
    y[2] = float("nan")
    assert not relative_rms(y, torch.ones(4)) <= 1


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "gfx1100"])
def test_candidates_fit_the_arch(monkeypatch, arch):
    from accel_kernels import problems, tuning

    monkeypatch.setattr(tuning, "arch_of", lambda _: arch)
    cases = [
        problems.block_problem(1, 4, 4, 96, 5, torch.float16, CPU),
        problems.conv_problem(1, 4, 4, 192, 3, 1, torch.float16, CPU),
        problems.patch_problem(4, 64, torch.float16, CPU),
    ]
    for case in cases:
        configs = list(tuning.candidates(case))
        assert 4 <= len(configs) <= 100 and all(c["num_warps"] in (4, 8) for c in configs)


def test_bench_refuses_a_speed_up_where_numbers_are_wrong(problem):
    from mineru_accel.bench.layout import bench_kernels

    right = problem.truth
    problem.truth = lambda: right() * 1.01
    row = bench_kernels.measure(problem, argparse.Namespace(implementation="auto"), (1e15, 1e12))
    assert not row["right"] and "ms" not in row
    assert row["system"].endswith("WRONG") and not any("speed_up" in key for key in row)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing")
def test_commands_say_that_they_need_a_gpu(capsys):
    from mineru_accel.bench.layout import bench_kernels
    from mineru_accel.cli import tune

    assert tune.run([]) == 1 and bench_kernels.run([]) == 1
    assert capsys.readouterr().err.count("sees none here") == 2


def test_shapes_of_the_commands():
    from mineru_accel.cli import tune
    from mineru_accel.layout.tune import problems

    args = tune.parser().parse_args(["--op", "dilated_block", "--scale", "n", "--batch", "1", "--shape", "100x33"])
    titles = [p.title for p in problems(tune.shapes(args), CPU)]
    assert titles == [
        "dilated_block glu C=32 k=5 1x128x92",
        "dilated_block glu C=64 k=3 1x64x46",
        "dilated_block glu C=32 k=5 1x13x5",
        "dilated_block glu C=64 k=3 1x7x3",
    ]
