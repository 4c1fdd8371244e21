"""The kernels on a real GPU: every dtype, compiled and captured, and what a new page size costs."""

import threading
import time

import pytest
import torch
from seeded import fresh_seed

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
DEVICE = torch.device("cuda")
HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture(autouse=True)
def _isolated(tmp_path, monkeypatch):
    """No user cache; `torch.empty` is filled with NaN."""
    from accel_kernels.shape_cache import SHAPES

    monkeypatch.setenv("MINERU_ACCEL_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    SHAPES.reload()
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before)
    SHAPES.reload()


def check(problem, implementation="triton"):
    from accel_kernels.tuning import relative_rms, tolerance

    truth = problem.truth()
    first = problem.run(implementation)
    error = relative_rms(first, truth)
    dtype = torch.bfloat16 if problem.x.dtype == torch.uint8 else problem.x.dtype
    assert error <= tolerance(dtype, problem.depth), f"{problem.title}: {error:.2e}"
    if implementation == "triton":  # a race shows as a result that moves
        assert all(torch.equal(problem.run(implementation), first) for _ in range(8)), problem.title


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
@pytest.mark.parametrize(
    ("b", "h", "w", "c", "k"), [(1, 128, 92, 96, 5), (2, 64, 46, 192, 3), (33, 7, 5, 40, 3), (1, 123, 5, 5, 3)]
)
def test_dilated_conv2d(b, h, w, c, k, dtype):
    from accel_kernels.problems import conv_problem

    for implementation in ("triton", "vendor", "phase", "auto"):
        check(conv_problem(b, h, w, c, k, 3, dtype, DEVICE, epilogue=True, seed=fresh_seed()), implementation)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
@pytest.mark.parametrize("fuse", ["glu", "sum"])
@pytest.mark.parametrize(
    ("b", "h", "w", "c", "k"), [(1, 128, 92, 96, 5), (2, 64, 46, 192, 3), (33, 9, 7, 64, 3), (1, 5, 123, 32, 5)]
)
def test_dilated_block(b, h, w, c, k, fuse, dtype):
    from accel_kernels.problems import block_problem

    for implementation in ("triton", "hybrid", "vendor", "auto"):
        check(block_problem(b, h, w, c, k, dtype, DEVICE, fuse, seed=fresh_seed()), implementation)


@pytest.mark.parametrize("rows", [1, 1296, 5477])
def test_patch_embed(rows):
    from accel_kernels.problems import patch_problem, uint8_problem

    for implementation in ("triton", "vendor", "auto"):
        for dtype in (*HALVES, torch.float32):
            check(patch_problem(rows, 1280, dtype, DEVICE), implementation)
        for row in (588, 592):
            check(uint8_problem(rows, 1280, DEVICE, row), implementation)


def test_tf32_is_off_unless_asked_for():
    from accel_kernels import dilated_conv2d, reference
    from accel_kernels.tuning import relative_rms

    x, w = torch.randn(1, 32, 32, 64, device=DEVICE), torch.randn(64, 64, 3, 3, device=DEVICE)
    truth = reference.dilated_conv2d(x.double(), w.double())
    assert relative_rms(dilated_conv2d(x, w, implementation="triton"), truth) < 1e-6
    assert 1e-6 < relative_rms(dilated_conv2d(x, w, implementation="triton", allow_tf32=True), truth) < 2e-3


def test_shipped_configurations_are_right():
    """Every configuration shipped for this arch, at its family's shape."""
    import json

    from accel_kernels.problems import block_problem, conv_problem, patch_problem, uint8_problem
    from accel_kernels.shape_cache import SHIPPED, Choice, arch_of, forced

    for path in (SHIPPED / arch_of(DEVICE)).glob("*.json"):
        for dtype, by_dtype in json.loads(path.read_text())["dtypes"].items():
            for family, tiers in by_dtype.get("families", {}).items():
                numbers = {part[0]: int(part[1:]) for part in family.split("-") if part[1:].isdigit()}
                entries = [*tiers.get("exact", {}).values(), *tiers.get("buckets", {}).values()]
                for config in {tuple(sorted(e["config"].items())) for e in entries if e["config"]}:
                    kind = getattr(torch, dtype)
                    if path.stem == "dilated_block":
                        problem = block_problem(2, 33, 29, numbers["C"], numbers["k"], kind, DEVICE)
                    elif path.stem == "dilated_conv2d":
                        problem = conv_problem(
                            2, 33, 29, numbers["C"], numbers["k"], 3, kind, DEVICE, "epilogue" in family
                        )
                    elif path.stem == "patch_embed":
                        problem = patch_problem(777, numbers["N"], kind, DEVICE)
                    else:
                        problem = uint8_problem(777, numbers["N"], DEVICE)
                    with forced(Choice("triton", dict(config), "test")):
                        check(problem)


def test_compiled_without_graph_breaks():
    from accel_kernels.problems import block_problem, conv_problem
    from accel_kernels.tuning import relative_rms

    block = block_problem(1, 32, 24, 96, 5, torch.float16, DEVICE)
    conv = conv_problem(1, 32, 24, 96, 3, 2, torch.float16, DEVICE, epilogue=True)
    for problem in (block, conv):
        compiled = torch.compile(lambda p=problem: p.run("triton") * 2, fullgraph=True)
        assert relative_rms(compiled(), 2 * problem.truth()) < 1e-3


def test_captured_and_replayed():
    from accel_kernels import dilated_block
    from accel_kernels.problems import block_problem, conv_problem

    for problem in (
        block_problem(1, 32, 24, 96, 5, torch.float16, DEVICE),
        conv_problem(1, 32, 24, 96, 3, 2, torch.float16, DEVICE),
    ):
        expected = problem.run("triton")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = problem.run("triton")
        y.fill_(float("nan"))
        graph.replay()
        assert torch.equal(y, expected)
        problem.x.mul_(2)
        graph.replay()
        assert torch.equal(y, problem.run("triton"))
    assert dilated_block is not None


def test_graphs_by_shape():
    from accel_kernels import GraphCache, dilated_conv2d

    w = torch.randn(32, 32, 3, 3, device=DEVICE).half()
    cache = GraphCache(lambda x: dilated_conv2d(x, w, activation="silu"), capacity=2)
    for shape in ((1, 8, 8, 32), (2, 9, 7, 32), (1, 8, 8, 32), (3, 5, 5, 32), (1, 8, 8, 32)):
        x = torch.randn(shape, device=DEVICE).half()
        assert torch.equal(cache(x), dilated_conv2d(x, w, activation="silu"))
        assert len(cache) <= 2


def test_packing_inside_a_capture_is_not_kept():
    from accel_kernels import dilated_conv2d
    from accel_kernels.packing import PACKED

    x, w = torch.randn(1, 16, 16, 32, device=DEVICE).half(), torch.randn(32, 32, 3, 3, device=DEVICE).half()
    dilated_conv2d(x, w.clone(), implementation="triton")
    PACKED.clear()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = dilated_conv2d(x, w, implementation="triton")
    assert len(PACKED) == 0
    graph.replay()
    assert torch.equal(y, dilated_conv2d(x, w, implementation="triton"))


def test_a_new_page_size_does_not_recompile():
    """Milliseconds, not the half second of a compilation."""
    from accel_kernels.problems import block_problem
    from accel_kernels.shape_cache import SHAPES, Choice, forced

    problem = block_problem(1, 128, 92, 96, 5, torch.float16, DEVICE)
    choice = SHAPES.lookup("dilated_block", DEVICE, torch.float16, *problem.key)
    with forced(choice if choice and choice.config else Choice("triton", {}, "test")):
        problem.run("triton")
        torch.cuda.synchronize()
        for b, h, w in ((1, 96, 128), (2, 133, 91), (3, 16, 1), (1, 1, 1)):
            other = block_problem(b, h, w, 96, 5, torch.float16, DEVICE)
            torch.cuda.synchronize()
            start = time.perf_counter()
            other.run("triton")
            torch.cuda.synchronize()
            assert time.perf_counter() - start < 0.05, (b, h, w)


def test_two_threads():
    from accel_kernels.problems import conv_problem

    problems = [conv_problem(1, 32, 24, 96, 3, 2, torch.float16, DEVICE, seed=s) for s in range(2)]
    expected = [p.run("triton") for p in problems]
    wrong = []

    def work(index: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(50):
                if not torch.equal(problems[index].run("triton"), expected[index]):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
