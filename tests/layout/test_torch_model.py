"""The torch network's own promises: swappable blocks, half precision, every way of fusing branches."""

from __future__ import annotations

import numpy as np
import pytest

from mineru_accel.layout.checkpoint import Checkpoint, load_checkpoint
from mineru_accel.layout.network.architecture import build_graph
from mineru_accel.layout.network.graph import DilatedBlock

torch = pytest.importorskip("torch")

from mineru_accel.layout.network import torch_model  # noqa: E402 - needs torch


@pytest.fixture(scope="module")
def graph(small_model):
    return build_graph(load_checkpoint(small_model.pt))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    rng = np.random.default_rng(0)
    small = torch.from_numpy(rng.integers(0, 256, (2, 3, 16, 12), dtype=np.uint8))
    return torch.nn.functional.interpolate(small, scale_factor=8).permute(0, 2, 3, 1).contiguous()


def test_blocks_can_be_swapped(graph, images):
    network = torch_model.LayoutNetwork(graph)
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x):
            seen.append(tuple(x.shape))
            return self.block(x)

    with torch.inference_mode():
        wanted = network(images)
        assert network.replace(torch_model.DilatedBlock, Spy) == 4
        got = network(images)
    assert seen == [(2, 32, 16, 12)] * 2 + [(2, 64, 8, 6)] * 2
    for a, b in zip(wanted, got, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_channels_last(graph, images, dtype):
    network = torch_model.LayoutNetwork(graph)
    with torch.inference_mode():
        wanted = network(images)
        half = network.to(getattr(torch, dtype), memory_format=torch.channels_last)
        got = half(images)
    for a, b in zip(wanted, got, strict=True):
        assert b.dtype == torch.float32
        assert ((a - b).square().mean() / a.var()).sqrt() < (0.02 if dtype == "float16" else 0.15)


def test_no_trainable_parameters_and_no_head_that_is_not_used(graph):
    network = torch_model.LayoutNetwork(graph)
    assert not any(p.requires_grad for p in network.parameters())
    assert not any("one2many" in n or "_23_cv" in n for n in network.ops)
    assert not network.training


@pytest.mark.parametrize("fuse", ["glu", "sum"])
@pytest.mark.parametrize("kernel", [3, 5])
def test_dilated_bottleneck_in_both_runtimes(package, fuse, kernel):
    """One G2L_CRM layer of each kind, odd channel counts and dilations, against the package's module."""
    import onnxruntime as ort
    from doclayout_yolo.nn.modules.g2l_crm import DilatedBottleneck

    from mineru_accel.layout.network import graph as g
    from mineru_accel.layout.network.architecture import _Builder
    from mineru_accel.layout.network.onnx_model import build_onnx

    torch.manual_seed(0)
    module = DilatedBottleneck(20, 20, True, [1, 2, 4], kernel, fuse, e=1.0).eval()
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eps = 1e-3
            torch.nn.init.uniform_(m.running_var, 0.5, 2)
            torch.nn.init.normal_(m.running_mean)
    state = {f"b.{k}": v.numpy() for k, v in module.state_dict().items()}
    stem = g.Weights(np.random.default_rng(0).normal(size=(20, 3, 1, 1)).astype(np.float32), np.zeros(20, np.float32))
    builder = _Builder(Checkpoint(state, (), {}))
    x = builder.conv_op("stem", 0, g.Conv(stem, act=False))
    y = builder.dilated_bottleneck("b", x, True, [1, 2, 4], fuse)
    builder.graph.levels.append(g.Level(y, x, 1))
    graph = builder.graph
    graph.nc, graph.reg_max = 20, 5
    assert sum(isinstance(n.op, DilatedBlock) for n in graph.nodes) == 1

    image = np.random.default_rng(1).integers(0, 256, (2, 13, 9, 3), dtype=np.uint8)
    with torch.inference_mode():
        feature = torch.nn.functional.conv2d(
            torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(stem.weight)
        )
        wanted = module(feature).flatten(2).numpy()
        ours = torch_model.LayoutNetwork(graph)(torch.from_numpy(image))[0].numpy()
    np.testing.assert_allclose(ours, wanted, atol=2e-5)
    session = ort.InferenceSession(build_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["boxes"], {"images": image})[0], wanted, atol=2e-5)
