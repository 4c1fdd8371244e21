"""The ops between the products of a vision transformer's block."""

import pytest
import torch
from checks import bound, rms

DTYPES = [torch.float32, torch.float16]


@pytest.mark.parametrize("implementation", ["triton", "vendor"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "c"), [(1, 16), (33, 100), (5, 1280)])
@pytest.mark.parametrize("residual", [False, True])
def test_add_layer_norm(device, implementation, dtype, rows, c, residual):
    from accel_kernels import add_layer_norm, reference

    x = (torch.randn(rows, c, device=device) * 3 + 1).to(dtype)
    delta = torch.randn(rows, c, device=device).to(dtype) if residual else None
    weight, bias = torch.randn(c, device=device).to(dtype), torch.randn(c, device=device).to(dtype)
    total, y = add_layer_norm(x, delta, weight, bias, implementation=implementation)
    assert rms(total, x.double() + (0 if delta is None else delta.double())) <= bound(dtype, 1)
    assert residual or total is x
    # The norm is of the sum as it was rounded: a row whose bias cancels its norm multiplies that rounding's error.
    _, truth = reference.add_layer_norm(total.double(), None, weight.double(), bias.double(), 1e-6)
    assert rms(y, truth) <= bound(dtype, c)


@pytest.mark.parametrize("implementation", ["triton", "vendor"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "heads", "d"), [(1, 1, 8), (7, 3, 80), (50, 16, 80), (4, 2, 64)])
def test_rotary(device, implementation, dtype, rows, heads, d):
    from accel_kernels import reference, rotary_qk_

    qkv = torch.randn(rows, 3 * heads * d, device=device).to(dtype)
    position = torch.randint(0, 90, (rows, 2), dtype=torch.int32, device=device)
    angle = torch.arange(90, device=device)[:, None] * torch.rand(d // 4, device=device)
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    truth = reference.rotary_qk(qkv.double(), position, cos.double(), sin.double(), heads)
    values = qkv[:, 2 * heads * d :].clone()
    y = rotary_qk_(qkv, position, cos, sin, heads, implementation=implementation)
    assert y is qkv and torch.equal(y[:, 2 * heads * d :], values)
    assert rms(y, truth) <= 3 * bound(dtype, 2)


@pytest.mark.parametrize("implementation", ["triton", "vendor"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 123), (20, 5120)])
def test_quick_gelu(device, implementation, dtype, shape):
    from accel_kernels import quick_gelu_, reference

    x = (torch.randn(shape, device=device) * 4).to(dtype)
    before = x.double()
    truth = reference.quick_gelu(before)
    assert quick_gelu_(x, implementation=implementation) is x
    # PyTorch's own rounds 1.702 x and the sigmoid to the dtype, the kernel only what it stores; subnormals are coarse
    steps = 2 + 1.702 * before.abs() if implementation == "vendor" else torch.ones_like(before)
    subnormal = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    allowed = 3 * bound(dtype, 1) * steps * truth.abs() + subnormal * (1 + before.abs())
    assert ((x.double() - truth).abs() <= allowed).all()


def test_empty_and_wrong(device):
    from accel_kernels import add_layer_norm, quick_gelu_, rotary_qk_

    none = torch.empty(0, 240, device=device)
    one = torch.ones(240, device=device)
    table = torch.ones(3, 20, device=device)
    at = torch.zeros(0, 2, dtype=torch.int32, device=device)
    assert add_layer_norm(none, none, one, one)[1].shape == (0, 240)
    assert rotary_qk_(none, at, table, table, 1).shape == quick_gelu_(none).shape == (0, 240)
    with pytest.raises(ValueError, match=r"position must be \(2, 2\)"):
        rotary_qk_(torch.ones(2, 240, device=device), at, table, table, 1)
    with pytest.raises(ValueError, match="contiguous"):
        quick_gelu_(torch.ones(4, 4, device=device)[:, ::2])
    with pytest.raises(ValueError, match="weight and bias"):
        add_layer_norm(torch.ones(2, 8, device=device), None, one, one)
    with pytest.raises(ValueError, match="implementation"):
        quick_gelu_(one, implementation="fast")
