import pytest
import torch
from checks import bound, rms

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TILE = {"BM": 32, "BN": 32, "BK": 32, "GROUP": 4, "num_warps": 4, "num_stages": 1}


def gemm():
    from accel_kernels.shape_cache import Choice, forced

    return forced(Choice("triton", TILE, "test"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("rows", [1, 33, 123])
def test_kernel(device, dtype, rows):
    from accel_kernels import patch_embed, reference

    x = torch.randn(rows, 3, 2, 7, 7, device=device).to(dtype)
    weight = (torch.randn(50, 3, 2, 7, 7, device=device) / 17).to(dtype)
    bias = torch.randn(50, device=device).to(dtype)
    truth = reference.patch_embed(x.double(), weight.double(), bias.double())
    with gemm():
        for implementation in ("triton", "vendor", "auto"):
            assert rms(patch_embed(x, weight, bias, implementation=implementation), truth) <= bound(dtype, 294)
            assert rms(patch_embed(x.flatten(1), weight.flatten(1), bias, implementation=implementation), truth) <= 1e-3


def test_non_contiguous(device):
    from accel_kernels import patch_embed, reference

    x = torch.randn(20, 96, device=device)[:, ::2]
    weight = torch.randn(48, 40, device=device).t()
    with gemm():
        y = patch_embed(x, weight, implementation="triton")
    assert rms(y, reference.patch_embed(x.double(), weight.double())) <= 2e-6


def case(rows, row, device):
    pixels = torch.randint(0, 256, (rows, row), dtype=torch.uint8, device=device)[:, :147]
    pixels[::2] = 255 - pixels[::2] // 32  # nearly white, as pages are
    return pixels, (torch.randn(50, 3, 2, 7, 7, device=device) * 0.02).to(torch.bfloat16)


@pytest.mark.parametrize("row", [147, 160])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_uint8(device, row, dtype):
    """Within rounding of the exact result, and nearer to it than the bfloat16 float path is."""
    from accel_kernels import fold_patch_weight, patch_embed_uint8, reference

    pixels, weight = case(33, row, device)
    bias = torch.randn(50, device=device).to(torch.bfloat16)
    truth = reference.patch_embed_uint8(pixels.contiguous(), weight.double(), MEAN, STD, bias.double())
    path = rms(reference.patch_embed_uint8(pixels.contiguous(), weight, MEAN, STD, bias), truth)
    folded = fold_patch_weight(weight, MEAN, STD, bias)
    with gemm():
        for implementation in ("triton", "vendor"):
            error = rms(patch_embed_uint8(pixels, folded, dtype=dtype, implementation=implementation), truth)
            assert error <= 5e-4 < path


def test_empty(device):
    from accel_kernels import fold_patch_weight, patch_embed, patch_embed_uint8

    pixels, weight = case(2, 147, device)
    assert patch_embed(torch.zeros(0, 294, device=device), weight.float()).shape == (0, 50)
    folded = fold_patch_weight(weight, MEAN, STD)
    assert patch_embed_uint8(pixels[:0], folded).shape == (0, 50)


def test_errors_name_the_culprit():
    from accel_kernels import fold_patch_weight, patch_embed, patch_embed_uint8

    weight = torch.zeros(8, 3, 2, 4, 4)
    with pytest.raises(ValueError, match="95"):
        patch_embed(torch.zeros(4, 95), weight)
    with pytest.raises(ValueError, match="float16"):
        patch_embed(torch.zeros(4, 96).half(), weight)
    with pytest.raises(ValueError, match="std"):
        fold_patch_weight(weight, MEAN, STD[:2])
    folded = fold_patch_weight(weight, MEAN, STD)
    with pytest.raises(ValueError, match="float32"):
        patch_embed_uint8(torch.zeros(4, 48), folded)
    with pytest.raises(ValueError, match="47"):
        patch_embed_uint8(torch.zeros(4, 47, dtype=torch.uint8), folded)
