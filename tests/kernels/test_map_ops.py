"""The layout network's other kernels: from view to view, odd shapes, every byte of the output written."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checks import bound, config, rms

DTYPES = [torch.float32, torch.float16]


def view(x: torch.Tensor, wide: int = 5) -> torch.Tensor:
    """The same values as a slice of a wider map whose other channels are NaN."""
    b, h, w, c = x.shape
    memory = torch.full((b, h, w, c + 2 * wide), float("nan"), dtype=x.dtype, device=x.device)
    memory[..., wide : wide + c] = x
    return memory[..., wide : wide + c]


def output(shape, dtype, device) -> torch.Tensor:
    return view(torch.full(shape, float("nan"), dtype=dtype, device=device))


def neighbours_untouched(out: torch.Tensor) -> bool:
    c = out.shape[-1]
    memory = torch.as_strided(out, (*out.shape[:-1], c + 10), out.stride(), out.storage_offset() - 5)
    return bool(memory[..., :5].isnan().all() and memory[..., c + 5 :].isnan().all())


def nchw(x: torch.Tensor) -> torch.Tensor:
    return x.double().permute(0, 3, 1, 2)


CONVS = [(1, 5, 9, 7, 5, 3, 1), (2, 8, 6, 24, 40, 3, 2), (3, 5, 3, 16, 48, 1, 1), (1, 7, 4, 48, 20, 5, 1)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("b", "h", "w", "c", "n", "k", "stride"), CONVS)
@pytest.mark.parametrize("implementation", ["triton", "hybrid", "vendor"])
def test_conv2d(device, dtype, b, h, w, c, n, k, stride, implementation):
    from accel_kernels.conv2d import ConvWeights, conv2d
    from accel_kernels.shape_cache import Choice, forced

    x = torch.randn(b, h, w, c, device=device).to(dtype)
    weight, bias = torch.randn(n, c, k, k) / (c * k * k) ** 0.5, torch.randn(n)
    out = output((b, -(-h // stride), -(-w // stride), n), dtype, device)
    residual = torch.randn(out.shape, device=device).to(dtype)
    packed = ConvWeights.pack(weight, bias, dtype, device)
    options = {"stride": stride, "activation": "silu", "implementation": implementation}
    with forced(Choice("triton", config(BN0=16, BN1=16), "test")):
        assert conv2d(view(x), packed, out, residual=view(residual), **options) is out
    weight, bias = weight.to(dtype).double().to(device), bias.double().to(device)
    z = F.conv2d(nchw(x), weight, bias, stride, k // 2).permute(0, 2, 3, 1)
    assert rms(out, F.silu(z) + residual.double()) <= bound(dtype, c * k * k) * (3 if implementation == "vendor" else 1)
    assert neighbours_untouched(out)


@pytest.mark.parametrize(("c", "bk"), [(48, 48), (96, 48), (40, 48), (96, 96)])
def test_conv2d_steps_of_two_parts(device, c, bk):
    """48 channels a step are tiles of 32 and 16; the last step may have fewer channels. The same sums as any step's."""
    from accel_kernels.conv2d import ConvWeights, conv2d
    from accel_kernels.shape_cache import Choice, forced

    x = torch.randn(2, 5, 7, c, device=device)
    packed = ConvWeights.pack(torch.randn(20, c, 3, 3) / (9 * c) ** 0.5, None, torch.float32, device)
    results = []
    for step in (bk, 16):
        results.append(output((2, 5, 7, 20), torch.float32, device))
        with forced(Choice("triton", config(BN0=16, BN1=16, BK=step), "test")):
            conv2d(view(x), packed, results[-1], implementation="triton")
    z = F.conv2d(nchw(x), packed.weight.double().permute(0, 3, 1, 2), None, 1, 1).permute(0, 2, 3, 1)
    assert rms(results[0], z) <= bound(torch.float32, 9 * c) and rms(results[0], results[1].double()) <= 1e-6


@pytest.mark.parametrize(
    ("implementation", "tier", "ran"),
    [("auto", "shipped exact", "hybrid"), ("own", "shipped exact", "triton"), ("own", "unknown", "vendor")],
)
def test_own_leaves_the_vendors_library_out(monkeypatch, device, implementation, tier, ran):
    from accel_kernels import ops
    from accel_kernels.shape_cache import Choice

    choice = Choice("vendor" if tier == "unknown" else "hybrid", {"BM": 32}, tier)
    monkeypatch.setattr(ops, "choose", lambda *_: choice)
    seen = []
    runners = {name: lambda config, name=name: seen.append((name, config)) for name in ("triton", "hybrid", "vendor")}
    ops.run_triton("conv2d", torch.empty(0, device=device), "f", "e", 1, implementation, {}, runners)
    assert seen == [(ran, {"BM": 32})]


@pytest.mark.parametrize("implementation", ["triton", "hybrid", "vendor"])
def test_conv2d_with_a_half_size_map(device, implementation):
    from accel_kernels.conv2d import ConvWeights, conv2d
    from accel_kernels.shape_cache import Choice, forced

    x, low = torch.randn(2, 6, 10, 24, device=device), torch.randn(2, 3, 5, 20, device=device)
    weight = torch.randn(20, 24, 1, 1)
    out = output((2, 6, 10, 20), torch.float32, device)
    packed = ConvWeights.pack(weight, None, torch.float32, device)
    with forced(Choice("triton", config(BN0=16, BN1=16), "test")):
        conv2d(x, packed, out, low=view(low), activation="silu", implementation=implementation)
    z = F.conv2d(nchw(x), weight.double().to(device)) + F.interpolate(nchw(low), scale_factor=2)
    assert rms(out, F.silu(z).permute(0, 2, 3, 1)) <= 1e-6


@pytest.mark.parametrize("bad", ["channels", "out", "spacing", "odd low", "stride", "activation", "implementation"])
def test_conv2d_refuses(device, bad):
    from accel_kernels.conv2d import ConvWeights, conv2d

    packed = ConvWeights.pack(torch.randn(8, 8, 1, 1), None, torch.float32, device)
    x, out = torch.zeros(1, 4, 4, 8, device=device), torch.zeros(1, 4, 4, 8, device=device)
    options: dict = {}
    match bad:
        case "channels":
            x = x[..., :6]
        case "out":
            out = out[:, :3]
        case "spacing":
            out = torch.zeros(1, 4, 8, 8, device=device)[:, :, ::2].transpose(1, 2)
        case "odd low":
            x, out = x[:, :3], out[:, :3]
            options["low"] = torch.zeros(1, 1, 2, 8, device=device)
        case "stride":
            options["stride"] = 0
        case "activation":
            options["activation"] = "relu"
        case "implementation":
            options["implementation"] = "magic"
    with pytest.raises(ValueError, match=r"must|no kernel|low needs"):
        conv2d(x, packed, out, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("b", "h", "w", "c", "k", "stride"), [(1, 5, 9, 7, 3, 1), (2, 7, 6, 70, 3, 2), (1, 9, 4, 65, 7, 1)]
)
@pytest.mark.parametrize("implementation", ["triton", "vendor"])
def test_depthwise(device, dtype, b, h, w, c, k, stride, implementation):
    from accel_kernels.depthwise_conv2d import depthwise_conv2d, pack_taps

    x = torch.randn(b, h, w, c, device=device).to(dtype)
    weight, bias = torch.randn(c, 1, k, k), torch.randn(c, device=device)
    out = output((b, -(-h // stride), -(-w // stride), c), dtype, device)
    residual = torch.randn(out.shape, device=device).to(dtype)
    taps = pack_taps(weight, device)
    options = {"stride": stride, "activation": "silu", "residual": view(residual), "implementation": implementation}
    assert depthwise_conv2d(view(x), taps, bias, out, **options) is out
    z = F.conv2d(nchw(x), weight.double().to(device), bias.double(), stride, k // 2, groups=c).permute(0, 2, 3, 1)
    assert rms(out, F.silu(z) + residual.double()) <= bound(dtype, k * k) * (4 if implementation == "vendor" else 1)
    assert neighbours_untouched(out)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("b", "h", "w", "n"), [(1, 5, 9, 5), (2, 8, 6, 48)])
@pytest.mark.parametrize("implementation", ["triton", "vendor"])
def test_first_convolution(device, dtype, b, h, w, n, implementation):
    from accel_kernels.image_conv2d import image_conv2d, pack_image_weight

    images = torch.randint(0, 256, (b, h, w, 3), dtype=torch.uint8, device=device)
    weight, bias = torch.randn(n, 3, 3, 3), torch.randn(n, device=device)
    out = output((b, -(-h // 2), -(-w // 2), n), dtype, device)
    image_conv2d(images, pack_image_weight(weight, dtype, device), bias, out, implementation=implementation)
    truth = F.silu(F.conv2d(nchw(images) / 255, weight.to(dtype).double().to(device), bias.double(), 2, 1))
    assert rms(out, truth.permute(0, 2, 3, 1)) <= bound(dtype, 27) * (3 if implementation == "vendor" else 1)
    assert neighbours_untouched(out)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", ["triton", "vendor"])
def test_max_pool(device, dtype, implementation):
    from accel_kernels.max_pool2d import max_pool2d

    x = torch.randn(2, 7, 5, 70, device=device).to(dtype)
    out = output(x.shape, dtype, device)
    max_pool2d(view(x), out, 5, implementation=implementation)
    assert torch.equal(out.double(), F.max_pool2d(nchw(x), 5, 1, 2).permute(0, 2, 3, 1))
    assert neighbours_untouched(out)
    x[0, 3, 2, 1] = float("nan")
    max_pool2d(x, out, 5, implementation=implementation)
    assert out[0, 2, 1, 1].isnan() and not out[1].isnan().any()


PAGES = [(40, 28), (31, 9), (20, 20), (97, 71), (1, 1)]


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "plain"])
def test_letterbox(device, kernel, monkeypatch):
    """Pages of several sizes at once, against OpenCV, within a level."""
    from accel_kernels import letterbox as module

    from mineru_accel.layout.letterbox import Letterbox

    rng = np.random.default_rng(0)
    shape = (64, 64)
    pages = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in PAGES]
    places, wanted, start = [], [], 3
    pixels = np.zeros(3 + sum(p.size for p in pages), np.uint8)
    for page in pages:
        place = Letterbox.fit(*page.shape[:2], 40)
        top, left = 5, 11
        places.append([start, *page.shape[:2], *place.inner, top, left])
        pixels[start : start + page.size] = page.ravel()
        start += page.size
        canvas = np.full((*shape, 3), 114, np.uint8)
        drawn = np.empty((*place.shape, 3), np.uint8)
        place.draw(page, drawn)
        inner = drawn[place.top : place.top + place.inner[0], place.left : place.left + place.inner[1]]
        canvas[top : top + place.inner[0], left : left + place.inner[1]] = inner
        wanted.append(canvas)
    if not kernel:
        if device.type == "cuda":
            pytest.skip("a GPU always runs the kernel")
        monkeypatch.setattr(module, "interpreting", lambda: False)
    out = torch.full((len(pages), *shape, 3), 7, dtype=torch.uint8, device=device)
    module.letterbox(torch.from_numpy(pixels).to(device), torch.tensor(places, device=device), out)
    difference = np.abs(out.cpu().numpy().astype(int) - np.stack(wanted))
    assert difference.max() <= 1, [int(d.max()) for d in difference]
    assert difference[0].max() == 0  # not scaled


@pytest.mark.parametrize("bad", ["canvas", "places", "pixels"])
def test_letterbox_refuses(device, bad):
    from accel_kernels.letterbox import letterbox

    arguments = {
        "pixels": torch.zeros(12, dtype=torch.uint8, device=device),
        "places": torch.zeros(1, 7, dtype=torch.int64, device=device),
        "canvas": torch.zeros(1, 4, 4, 3, dtype=torch.uint8, device=device),
    }
    arguments[bad] = arguments[bad].float()
    with pytest.raises(ValueError, match=f"{bad} must be"):
        letterbox(**arguments)


def test_block_into_a_given_map(device):
    from accel_kernels.dilated_block import dilated_block, dilated_block_into, fold

    c, d = 16, 3
    tensors = [torch.randn(c, c, 3, 3) / 12, torch.randn(c), torch.randn(c, c) / 4, torch.randn(c), torch.randn(c, d),
               torch.randn(c), torch.randn(d * c), torch.randn(d * c)]  # fmt: skip
    weights = fold(*tensors, dilations=[1, 2, 3]).to(device)
    x = torch.randn(2, 6, 5, c, device=device)
    out = torch.full_like(x, float("nan"))
    assert dilated_block_into(x, weights, out) is out
    assert torch.equal(out, dilated_block(x, weights))
    with pytest.raises(ValueError, match="out must be"):
        dilated_block_into(x, weights, out[..., :8])
