"""Reading checkpoints: exactly what torch would read, and nothing that runs."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from mineru_accel.errors import ModelError
from mineru_accel.layout.checkpoint import CheckpointError, convert_checkpoint, load_checkpoint, save_safetensors
from mineru_accel.layout.classes import CLASSES
from mineru_accel.layout.network.architecture import build_graph
from mineru_accel.layout.torch_zip import Stub, read_torch_zip


def assert_one_line(error: pytest.ExceptionInfo, path: Path) -> None:
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ModelError)


def zip_of(path: Path, pickled: bytes) -> Path:
    """A file that looks like torch's, holding this pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return path


def test_state_dict_as_torch_gives_it(model):
    ckpt = load_checkpoint(model.pt)
    wanted = model.package.state_dict()
    assert list(ckpt.state) == list(wanted)
    for name, value in wanted.items():
        assert ckpt.state[name].shape == tuple(value.shape), name
        np.testing.assert_array_equal(ckpt.state[name], value.numpy(), err_msg=name)
    assert ckpt.classes == CLASSES
    assert ckpt.scale == model.package.yaml["scale"]
    assert ckpt.bn_eps == 1e-3
    assert ckpt.imgsz == 320
    assert ckpt.metadata == {"date": "2026-11-21", "version": "0.0.4"}


def test_ema_is_what_the_package_would_use(small_model, clone, tmp_path):
    import torch

    ema = clone(small_model.package)
    with torch.no_grad():
        ema.model[0].conv.weight.mul_(2)
    path = tmp_path / "last.pt"
    torch.save({"model": clone(small_model.package).half(), "ema": ema.half(), "train_args": {}}, path)
    ckpt = load_checkpoint(path)
    weight = ckpt.state["model.0.conv.weight"]
    assert weight.dtype == np.float16
    np.testing.assert_array_equal(weight, ema.model[0].conv.weight.detach().numpy())


def test_tensors_of_all_kinds(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    tensors = {
        "bf16": torch.randn(5).bfloat16(),
        "half": torch.randn(3, 2).half(),
        "transposed": base.permute(2, 0, 1),
        "part": base[1, :, 1:3],
        "whole": base,
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 3),
        "bool": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    torch.save({"t": tensors, "size": base.shape, "set": {1}, "dtype": torch.float16}, tmp_path / "x.pt")
    got = read_torch_zip(tmp_path / "x.pt")["t"]
    for name, value in tensors.items():
        plain = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        assert got[name].shape == tuple(value.shape), name
        np.testing.assert_array_equal(got[name], plain.numpy(), err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_safetensors_round_trip(small_model, tmp_path, dtype):
    ckpt = convert_checkpoint(small_model.pt, tmp_path / "x.safetensors", dtype=dtype, metadata={"licence": "AGPL-3.0"})
    source = load_checkpoint(small_model.pt)
    assert ckpt.classes == source.classes
    assert ckpt.imgsz == source.imgsz
    assert ckpt.scale == source.scale == "n"
    assert ckpt.metadata["licence"] == "AGPL-3.0"
    assert set(ckpt.state) == {n for n in source.state if "num_batches" not in n}
    for name, value in ckpt.state.items():
        if dtype == "float32" or "running" in name:
            np.testing.assert_array_equal(value, source.state[name], err_msg=name)
        else:
            assert value.dtype == np.float16
    build_graph(ckpt)
    assert not list(tmp_path.glob(".*"))


def test_values_that_overflow_are_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="a has values"):
        save_safetensors(tmp_path / "x.safetensors", {"a": np.array([1e6])}, yaml={}, classes=[], imgsz=32)
    assert not list(tmp_path.iterdir())


class _Touch:
    """Runs a command when unpickled the usual way."""

    def __init__(self, call, *args):
        self.reduced = (call, args)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("call", ["system", "eval", "exec", "open", "subprocess", "import", "setattr"])
def test_malicious_pickle_is_refused(tmp_path, call):
    import subprocess

    target = tmp_path / "executed"
    evil = {
        "system": _Touch(os.system, f"touch {target}"),
        "eval": _Touch(eval, f"open({str(target)!r}, 'w')"),
        "exec": _Touch(exec, f"open({str(target)!r}, 'w')"),
        "open": _Touch(open, str(target), "w"),
        "subprocess": _Touch(subprocess.check_call, ["touch", str(target)]),
        "import": _Touch(__import__, "this"),
        "setattr": _Touch(setattr, OrderedDict, "x", 1),
    }[call]
    path = zip_of(tmp_path / "evil.pt", pickle.dumps({"model": evil}, protocol=2))
    with pytest.raises(CheckpointError, match="refused") as error:
        load_checkpoint(path)
    assert_one_line(error, path)
    assert not target.exists()


def test_getattr_and_the_models_own_classes_do_nothing(tmp_path):
    """Names that are let through are stubs: calling them runs nothing."""
    install = b"cdoclayout_yolo.utils.checks\ncheck_requirements\nU\x05numpy\x85R"
    system = b"c__builtin__\ngetattr\ncdoclayout_yolo.utils\nos\nU\x06system\x86R"
    got = read_torch_zip(zip_of(tmp_path / "x.pt", b"\x80\x02" + install + system + b"\x86."))
    assert [type(x).__mro__[1] for x in got] == [Stub, Stub]


def test_types_as_dill_names_them(tmp_path):
    """Where dill is installed, doclayout_yolo's checkpoints have set() as dill's _load_type("set")()."""

    def pickled(name: bytes) -> Path:
        code = b"\x80\x02cdill._dill\n_load_type\nU" + bytes([len(name)]) + name + b"\x85R]K\x07a\x85R."
        return zip_of(tmp_path / "dill.pt", code)

    assert read_torch_zip(pickled(b"set")) == {7}
    for name in (b"FunctionType", b"CodeType", b"type", b"__import__", b"object"):
        path = pickled(name)
        with pytest.raises(CheckpointError, match="dill's type") as error:
            read_torch_zip(path)
        assert_one_line(error, path)
    loader = b"\x80\x02cdill._dill\n_create_function\n)R."
    with pytest.raises(CheckpointError, match="_create_function"):
        read_torch_zip(zip_of(tmp_path / "function.pt", loader))


def test_pickle_may_not_alter_our_functions(tmp_path):
    code = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x0c__defaults__q\x00K\x01sb."
    with pytest.raises(CheckpointError, match="refused"):
        read_torch_zip(zip_of(tmp_path / "x.pt", code))


def test_tensor_beyond_its_storage(tmp_path):
    """A forged size must not read foreign memory."""
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, buffer)
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("data.pkl"):
                forged = data.replace(b"K\x04\x85", b"M\xff\x7f\x85")
                assert forged != data
                data = forged
            new.writestr(info.filename, data)
    with pytest.raises(CheckpointError, match=r"beyond its storage|damaged"):
        read_torch_zip(path)


@pytest.mark.parametrize("keep", [0, 100, 0.5, -10])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_truncated(small_model, tmp_path, kind, keep):
    data = getattr(small_model, kind).read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match=r"truncated|damaged") as error:
        load_checkpoint(path)
    assert_one_line(error, path)


def test_flipped_bytes(small_model, tmp_path):
    """Damage inside the pickle or a tensor is noticed (zip checksums), never a crash."""
    data = bytearray(small_model.pt.read_bytes())
    for at in (len(data) // 3, 2000):
        broken = bytearray(data)
        broken[at : at + 8] = b"\xff" * 8
        path = tmp_path / "flipped.pt"
        path.write_bytes(broken)
        with pytest.raises(CheckpointError) as error:
            load_checkpoint(path)
        assert_one_line(error, path)


@pytest.mark.parametrize("name", ["missing.pt", "a.onnx", "text.pt", "other.safetensors", "weights-only.pt"])
def test_not_a_layout_checkpoint(tmp_path, name):
    path = tmp_path / name
    if name == "a.onnx":
        path.write_bytes(b"x")
    elif name == "text.pt":
        path.write_text("hello")
    elif name == "other.safetensors":
        from safetensors.numpy import save_file

        save_file({"a": np.zeros(3)}, path)
    elif name == "weights-only.pt":
        torch = pytest.importorskip("torch")
        torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert_one_line(error, path)


def test_weights_of_another_scale(small_model, tmp_path):
    ckpt = load_checkpoint(small_model.pt)
    ckpt.yaml = {**ckpt.yaml, "scale": "m"}
    ckpt.yaml["scales"] = {"m": [0.67, 0.75, 768]}
    with pytest.raises(CheckpointError, match="don't fit the architecture"):
        build_graph(ckpt)
    ckpt = load_checkpoint(small_model.pt)
    ckpt.classes = ckpt.classes[:-1]
    with pytest.raises(CheckpointError, match="10 classes, 9 have names"):
        build_graph(ckpt)
    ckpt.yaml = {**ckpt.yaml, "backbone": [[-1, 1, "Transformer", [64]]]}
    with pytest.raises(CheckpointError, match="Transformer"):
        build_graph(ckpt)
