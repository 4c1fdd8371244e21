"""The patch embedding of vLLM 0.11.0 (nn.Conv3d) and of 0.19.1 and 0.28.0 (Conv3dLayer), against stand-ins of each."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from mineru_accel import patches
from mineru_accel.hardware import accelerator
from mineru_accel.patches import State

torch = pytest.importorskip("torch")
NAME = "vllm-patch-embed"
C, T, P, N = 3, 2, 14, 24


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("hip", "gfx1100"))


@pytest.fixture
def calls(monkeypatch):
    """How often the kernel ran."""
    import accel_kernels

    seen, real = [], accel_kernels.patch_embed

    def counted(x, weight, bias=None):
        seen.append(tuple(x.shape))
        return real(x, weight, bias)

    monkeypatch.setattr(accel_kernels, "patch_embed", counted)
    return seen


def embedding(conv):
    """Qwen2VisionPatchEmbed as every version has it."""

    class Qwen2VisionPatchEmbed(torch.nn.Module):
        def __init__(self, **more):
            super().__init__()
            self.proj = conv(C, N, kernel_size=(T, P, P), **{"stride": (T, P, P), "bias": False, **more})

        def forward(self, x):
            length, _ = x.shape
            return self.proj(x.view(length, -1, T, P, P)).view(length, N)

    return Qwen2VisionPatchEmbed


@pytest.fixture
def old(module, monkeypatch):
    """0.11.0: torch.nn.Conv3d, no layers.conv."""
    cls = embedding(torch.nn.Conv3d)
    module("vllm.model_executor.models.qwen2_vl", Qwen2VisionPatchEmbed=cls)
    module("vllm.model_executor.layers")
    monkeypatch.setitem(sys.modules, "vllm.model_executor.layers.conv", None)  # the real one may be there
    return cls


def conv3d_layer(registry):
    """CustomOp and Conv3dLayer as 0.19.1 and 0.28.0 have them: a class is replaced by its name when it is built."""

    class CustomOp(torch.nn.Module):
        def __new__(cls, *args, **kwargs):
            return super().__new__(registry.get(cls.__name__, cls))

        def __init__(self):
            super().__init__()
            self._forward_method = self.forward_cuda

        def forward(self, *args):
            return self._forward_method(*args)

        @classmethod
        def register_oot(cls, layer):
            assert cls.__name__ not in registry
            layer.name = cls.__name__
            registry[cls.__name__] = layer
            return layer

    class Conv3dLayer(CustomOp):
        def __init__(self, inputs, outputs, kernel_size, stride, bias=True, padding=(0, 0, 0), groups=1):
            super().__init__()
            self.kernel_size, self.stride, self.padding, self.groups = kernel_size, stride, padding, groups
            self.dilation = (1, 1, 1)
            self.weight = torch.nn.Parameter(torch.randn(outputs, inputs // groups, *kernel_size))
            self.bias = torch.nn.Parameter(torch.randn(outputs)) if bias else None

        def forward_cuda(self, x):
            return torch.nn.functional.conv3d(
                x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )

    return Conv3dLayer


@pytest.fixture
def registry():
    return {}


@pytest.fixture
def new(module, registry):
    """0.19.1 and 0.28.0."""
    layer = conv3d_layer(registry)
    cls = embedding(layer)
    module("vllm.model_executor.models.qwen2_vl", Qwen2VisionPatchEmbed=cls)
    module("vllm.model_executor.layers.conv", Conv3dLayer=layer)
    module("vllm.model_executor.custom_op", op_registry_oot=registry)
    return SimpleNamespace(embed=cls, layer=layer)


@torch.inference_mode()
def test_0_11_0(old, versions, calls):
    versions(vllm="0.11.0", torch="2.8.0")
    before = old.forward
    made, x = old(bias=True), torch.randn(5, C * T * P * P)
    expected = made(x)
    assert patches.apply(NAME).state is State.ACTIVE
    torch.testing.assert_close(made(x), expected, rtol=1e-4, atol=1e-4)
    assert calls == [(5, C * T * P * P)]
    made(torch.randn(0, C * T * P * P))
    padded = old(padding=(0, 1, 1))  # no product of matrices: the original runs
    assert torch.equal(padded(x), before(padded, x)) and len(calls) == 2
    patches.revert(NAME)
    assert old.forward is before
    made(x)
    assert len(calls) == 2


@torch.inference_mode()
def test_the_layer_of_newer_versions(new, registry, versions, calls):
    versions(vllm="0.19.1", torch="2.8.0")
    plain, x = new.embed(bias=True), torch.randn(7, C * T * P * P)
    assert patches.apply(NAME).state is State.ACTIVE and patches.apply(NAME).state is State.ACTIVE
    made = new.embed(bias=True)
    assert isinstance(made.proj, new.layer) and type(made.proj) is registry["Conv3dLayer"]
    made.load_state_dict(plain.state_dict())
    torch.testing.assert_close(made(x), plain(x), rtol=1e-4, atol=1e-4)
    assert calls == [(7, C, T, P, P)]  # `plain` was built before
    video = torch.randn(2, C, 2 * T, P, P)  # another use of the layer: not one patch
    assert torch.equal(made.proj(video), plain.proj(video))
    grouped = new.layer(4, 4, (1, 2, 2), (1, 2, 2), groups=2)
    assert grouped(torch.randn(1, 4, 1, 2, 2)).shape == (1, 4, 1, 1, 1) and len(calls) == 1
    patches.revert(NAME)
    assert registry == {} and type(new.embed().proj) is new.layer


def test_somebody_elses_layer_stays(new, registry, versions):
    versions(vllm="0.19.1", torch="2.8.0")
    registry["Conv3dLayer"] = theirs = type("Theirs", (new.layer,), {})
    status = patches.apply(NAME)
    assert status.state is State.NOT_APPLICABLE and "has replaced Conv3dLayer already" in status.reason
    assert registry == {"Conv3dLayer": theirs}


@pytest.mark.parametrize(
    ("vllm", "torch_", "state"),
    [
        ("0.11.0", "2.9.0", State.OFF),
        ("0.11.1", "2.9.0", State.NOT_NEEDED),
        ("0.11.1", "2.9.1", State.OFF),
        ("0.19.1", "2.10.0", State.NOT_NEEDED),
        ("0.28.0", "2.13.0", State.NOT_NEEDED),
        ("0.28.0", "2.8.0", State.OFF),
        ("0.10.2", "2.8.0", State.NOT_APPLICABLE),
        ("0.29.0", "2.13.0", State.NOT_APPLICABLE),
    ],
)
def test_where_it_is_needed(versions, vllm, torch_, state):
    versions(vllm=vllm, torch=torch_)
    (status,) = [s for s in patches.status() if s.name == NAME]
    assert status.state is state, status


def test_not_on_a_cpu(versions, monkeypatch):
    versions(vllm="0.11.0", torch="2.8.0")
    monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cpu"))
    assert str(patches.apply(NAME)) == "not applicable, because the kernel is for GPUs, and this is cpu"


def test_what_is_installed_here_has_the_layer_that_is_replaced(versions):
    """vLLM 0.28.0 itself, as if with an old torch."""
    pytest.importorskip("vllm")
    from vllm.model_executor.custom_op import op_registry_oot

    versions(vllm="0.28.0", torch="2.8.0")
    assert patches.apply(NAME).state is State.ACTIVE
    assert op_registry_oot["Conv3dLayer"].__mro__[1].__module__ == "vllm.model_executor.layers.conv"
    patches.revert(NAME)
    assert "Conv3dLayer" not in op_registry_oot
