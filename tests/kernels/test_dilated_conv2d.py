import pytest
import torch
from checks import bound, rms, using

DTYPES = [torch.float32, torch.float16]


def case(b, h, w, c, n, k, dtype, device):
    x = torch.randn(b, h, w, c, device=device).to(dtype)
    weight = (torch.randn(n, c, k, k, device=device) / (c * k * k) ** 0.5).to(dtype)
    return x, weight, torch.randn(n, device=device).to(dtype), torch.randn(b, h, w, n, device=device).to(dtype)


def truth(x, weight, bias, residual, **options):
    from accel_kernels import reference

    more = [None if t is None else t.double() for t in (bias, residual)]
    return reference.dilated_conv2d(x.double(), weight.double(), more[0], residual=more[1], **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("b", "h", "w", "c", "n", "k", "dilation"),
    [(1, 5, 123, 7, 5, 3, 1), (2, 7, 5, 24, 40, 3, 5), (33, 2, 3, 16, 16, 1, 1), (1, 13, 9, 32, 96, 5, 3)],
)
@pytest.mark.parametrize("tw", [0, 8])
def test_kernel(device, dtype, b, h, w, c, n, k, dilation, tw):
    from accel_kernels import dilated_conv2d

    x, weight, bias, residual = case(b, h, w, c, n, k, dtype, device)
    options = {"dilation": dilation, "activation": "silu"}
    with using(TW=tw):
        y = dilated_conv2d(x, weight, bias, residual=residual, implementation="triton", **options)
    assert y.shape == (b, h, w, n) and y.is_contiguous()
    assert rms(y, truth(x, weight, bias, residual, **options)) <= bound(dtype, c * k * k)


@pytest.mark.parametrize("implementation", ["vendor", "phase", "auto"])
def test_other_implementations(device, implementation):
    from accel_kernels import dilated_conv2d

    x, weight, bias, residual = case(2, 11, 7, 16, 24, 3, torch.float32, device)
    y = dilated_conv2d(x, weight, bias, dilation=3, residual=residual, implementation=implementation)
    assert rms(y, truth(x, weight, bias, residual, dilation=3)) <= 2e-6


def test_layouts(device):
    """A slice of a wider tensor is read in place, other layouts are copied; the weight has either memory format."""
    from accel_kernels import dilated_conv2d

    x, weight, *_ = case(2, 6, 5, 16, 16, 3, torch.float32, device)
    expected = truth(x, weight, None, None, dilation=2)
    wide = torch.full((2, 6, 5, 40), float("nan"), device=device)
    wide[..., 8:24] = x
    views = [
        wide[..., 8:24],
        x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        x.transpose(1, 2).contiguous().transpose(1, 2),
    ]
    for view in views:
        for w in (weight, weight.contiguous(memory_format=torch.channels_last)):
            with using():
                y = dilated_conv2d(view, w, dilation=2, implementation="triton")
            assert rms(y, expected) <= 2e-6


def test_empty_batch(device):
    from accel_kernels import dilated_conv2d

    x, weight, *_ = case(1, 4, 4, 8, 16, 3, torch.float32, device)
    assert dilated_conv2d(x[:0], weight, implementation="triton").shape == (0, 4, 4, 16)


def test_changed_weight_is_packed_again(device):
    from accel_kernels import dilated_conv2d

    x, weight, *_ = case(1, 5, 5, 16, 16, 3, torch.float32, device)
    for _ in range(2):
        with using():
            y = dilated_conv2d(x, weight, implementation="triton")
        assert rms(y, truth(x, weight, None, None)) <= 2e-6
        weight.mul_(torch.rand_like(weight))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(4, 4, 8)}, "(4, 4, 8)"),
        ({"x": torch.zeros(1, 4, 4, 8, dtype=torch.float64)}, "float64"),
        ({"weight": torch.zeros(8, 7, 3, 3)}, "(8, 7, 3, 3)"),
        ({"weight": torch.zeros(8, 8, 2, 2)}, "(8, 8, 2, 2)"),
        ({"weight": torch.zeros(8, 8, 3, 3).half()}, "float16"),
        ({"bias": torch.zeros(7)}, "(7,)"),
        ({"residual": torch.zeros(1, 4, 4, 7)}, "(1, 4, 4, 7)"),
        ({"activation": "relu"}, "relu"),
        ({"dilation": 0}, "0"),
        ({"implementation": "magic"}, "magic"),
    ],
)
def test_errors_name_the_culprit(change, message):
    from accel_kernels import dilated_conv2d

    arguments = {"x": torch.zeros(1, 4, 4, 8), "weight": torch.zeros(8, 8, 3, 3), **change}
    with pytest.raises(ValueError) as error:
        dilated_conv2d(arguments.pop("x"), arguments.pop("weight"), **arguments)
    assert message in str(error.value)
