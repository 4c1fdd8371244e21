from unittest import mock

import pytest
import torch
from checks import bound, rms, using

DTYPES = [torch.float32, torch.float16]


def case(c, k, dilations, glu, dtype, device):
    """(packed weights, the reference's arguments): the same numbers, all of which dtype can hold."""
    from accel_kernels.dilated_block import fold

    def rand(*shape):
        return torch.randn(*shape, dtype=torch.float64, device=device)

    d = len(dilations)
    tensors = [
        rand(c, c, k, k) / (c * k * k) ** 0.5,
        rand(c),
        rand(c, c) / c**0.5,
        rand(c),
        rand(c, d if glu else 1),
        rand(c),
    ]
    if glu:
        tensors += [rand(d * c), rand(d * c)]
    tensors = [t.to(dtype).double() for t in tensors]
    return fold(*tensors, dilations=dilations, dtype=dtype), tensors


def truth(x, tensors, weights):
    from accel_kernels import reference

    return reference.dilated_block(x.double(), *tensors, dilations=weights.dilations, shortcut=weights.shortcut)


def inherent(x, tensors, weights, exact):
    """What rounding the convolutions' results (twice: before and after their activation) to x's dtype alone costs.

    The products take them so. With few channels and unlucky weights it is as much as rounding the output: by the
    triangle inequality whoever does both right is off by at most the sum.
    """
    from accel_kernels import reference

    conv = reference.dilated_conv2d

    def stored(x_, weight, bias, *, dilation, activation):
        z = conv(x_, weight, dilation=dilation).to(x.dtype).double()
        return torch.nn.functional.silu(z + bias).to(x.dtype).double()

    with mock.patch.object(reference, "dilated_conv2d", stored):
        return rms(truth(x, tensors, weights), exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize(
    ("c", "k", "dilations"),
    [(48, 3, (1, 3, 5)), (32, 5, (1, 2, 3)), (5, 3, (1, 2)), (7, 3, (1, 2, 3, 4)), (16, 3, (2,))],
)
def test_glu(device, dtype, mode, c, k, dilations):
    """Channel counts that are and aren't multiples of the number of dilations, so that outputs straddle branches."""
    from accel_kernels import dilated_block

    weights, tensors = case(c, k, dilations, True, dtype, device)
    x = torch.randn(2, 5, 7, c, device=device).to(dtype)
    with using(MODE=mode, TW=8 if mode == 2 else 0):
        y = dilated_block(x, weights, implementation="triton")
    exact = truth(x, tensors, weights)
    assert rms(y, exact) <= bound(dtype, c * k * k) + inherent(x, tensors, weights, exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("c", [16, 40])
def test_sum(device, dtype, c):
    from accel_kernels import dilated_block

    weights, tensors = case(c, 3, (1, 2, 3), False, dtype, device)
    x = torch.randn(1, 6, 5, c, device=device).to(dtype)
    exact = truth(x, tensors, weights)
    own = inherent(x, tensors, weights, exact)
    for implementation in ("triton", "hybrid", "vendor"):
        with using():
            y = dilated_block(x, weights, implementation=implementation)
        # The vendor's chain rounds to dtype after each stage, ours only the convolutions and at the end.
        rounded = 2 if implementation == "vendor" else 1
        assert rms(y, exact) <= rounded * bound(dtype, c * 9) + own


@pytest.mark.parametrize("implementation", ["hybrid", "vendor", "auto"])
@pytest.mark.parametrize("c", [48, 32])
def test_other_implementations(device, implementation, c):
    from accel_kernels import dilated_block

    weights, tensors = case(c, 3, (1, 3, 5), True, torch.float32, device)
    x = torch.randn(33, 3, 2, c, device=device)
    y = dilated_block(x, weights, implementation=implementation)
    assert rms(y, truth(x, tensors, weights)) <= 2e-6


def test_slice_of_a_wider_tensor(device):
    from accel_kernels import dilated_block

    weights, tensors = case(16, 3, (1, 2), True, torch.float32, device)
    wide = torch.randn(1, 5, 4, 48, device=device)
    with using():
        y = dilated_block(wide[..., 16:32], weights, implementation="triton")
    assert rms(y, truth(wide[..., 16:32], tensors, weights)) <= 2e-6


def test_empty_batch(device):
    from accel_kernels import dilated_block

    weights, _ = case(16, 3, (1, 2, 3), True, torch.float32, device)
    assert dilated_block(torch.zeros(0, 4, 4, 16, device=device), weights).shape == (0, 4, 4, 16)


def test_errors_name_the_culprit(device):
    from accel_kernels import dilated_block
    from accel_kernels.dilated_block import fold

    weights, tensors = case(16, 3, (1, 2, 3), True, torch.float32, device)
    with pytest.raises(ValueError, match="15"):
        dilated_block(torch.zeros(1, 4, 4, 15), weights)
    with pytest.raises(ValueError, match="float16"):
        dilated_block(torch.zeros(1, 4, 4, 16).half(), weights)
    with pytest.raises(ValueError, match="mix_weight"):
        fold(*tensors[:2], tensors[2][:3], *tensors[3:], dilations=(1, 2, 3))
    with pytest.raises(ValueError, match="magic"):
        dilated_block(torch.zeros(1, 4, 4, 16, device=device), weights, implementation="magic")


@pytest.mark.parametrize("fuse", ["glu", "sum"])
def test_module_twin(device, fuse):
    """A trained block's module, batch norms and all, in float64 against the fused one."""
    from accel_kernels import FusedDilatedBlock
    from accel_kernels.problems import EagerDilatedBlock

    module = EagerDilatedBlock(12, (1, 2, 3), 3, fuse).eval()
    module.randomize(torch.randn)
    module.dilation, module.add = [1, 2, 3], True
    x = torch.randn(2, 12, 6, 5)
    expected = module.double()(x.double())
    fused = FusedDilatedBlock.from_module(module).to(torch.float32)
    assert rms(fused(x), expected) <= 2e-6
