"""The ops under torch.compile: no graph break, right shapes in tracing, valid schemas."""

import pytest
import torch
from checks import rms


def ops(device):
    """name -> (function of x, x, the registered op's arguments)."""
    from accel_kernels import dilated_block, dilated_conv2d, fold_patch_weight, patch_embed, patch_embed_uint8
    from accel_kernels.dilated_block import fold
    from accel_kernels.problems import EagerDilatedBlock

    weight, bias = torch.randn(24, 16, 3, 3, device=device), torch.randn(24, device=device)
    module = EagerDilatedBlock(16, (1, 2, 3), 3)
    module.randomize(torch.randn)
    weights = fold(*module.folded(), dilations=(1, 2, 3), dtype=torch.float32).to(device)
    patch = torch.randn(32, 3, 2, 4, 4, device=device)
    folded = fold_patch_weight(patch, (0.5, 0.4, 0.3), (0.2, 0.2, 0.3))
    x = torch.randn(2, 5, 7, 16, device=device)
    pixels = torch.randint(0, 256, (9, 48), dtype=torch.uint8, device=device)
    return {
        "dilated_conv2d": (lambda x: dilated_conv2d(x, weight, bias, dilation=2, activation="silu"), x),
        "dilated_block": (lambda x: dilated_block(x, weights), x),
        "patch_embed": (lambda x: patch_embed(x, patch), torch.randn(9, 96, device=device)),
        "patch_embed_uint8": (lambda x: patch_embed_uint8(x, folded), pixels),
    }


@pytest.mark.parametrize("name", ["dilated_conv2d", "dilated_block", "patch_embed", "patch_embed_uint8"])
def test_fullgraph(device, name):
    function, x = ops(device)[name]
    torch.compiler.reset()
    compiled = torch.compile(lambda x: function(x) * 2, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch.no_grad():
        assert rms(compiled(x), function(x).double() * 2) <= 1e-6
        assert rms(compiled(x[:1]), function(x[:1]).double() * 2) <= 1e-6


def test_registration():
    """torch's own check: schema, fake tensors, tracing with dynamic shapes."""
    ops = torch.ops.accel_kernels
    x, weight = torch.randn(2, 5, 7, 16), torch.randn(24, 16, 3, 3)
    tests = ("test_schema", "test_faketensor")
    torch.library.opcheck(
        ops.dilated_conv2d, (x, weight, None, torch.randn(2, 5, 7, 24), 2, True, "vendor", False), test_utils=tests
    )
    torch.library.opcheck(ops.patch_embed, (torch.randn(9, 96), torch.randn(8, 96), None, "vendor"), test_utils=tests)
    pixels = torch.randint(0, 256, (9, 48), dtype=torch.uint8)
    folded = (torch.randn(8, 64).half(), torch.ones(8), torch.zeros(8), 115, torch.bfloat16, "vendor")
    torch.library.opcheck(ops.patch_embed_uint8, (pixels, *folded), test_utils=tests)


def test_graph_cache_runs_the_function_on_a_cpu():
    from accel_kernels import GraphCache

    x = torch.randn(3)
    assert torch.equal(GraphCache(lambda t: t * 2)(x), x * 2)
