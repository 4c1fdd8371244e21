"""Chooses and loads the runtime: ONNX Runtime on the CPU, torch on a GPU or the CPU."""

from __future__ import annotations

from ...errors import ModelError, UsageError
from ...hardware import gpus
from ...hardware.packages import is_installed
from ..network.graph import Graph
from .base import Runtime


def choose_runtime(runtime: str, device: str) -> tuple[str, str]:
    """Settle ``auto``: torch on a GPU if there is one, else ONNX Runtime on the CPU, or torch where that is missing.

    Returns:
        Runtime (``onnx`` or ``torch``) and device (``cpu``, ``cuda``, ``cuda:1``).

    Raises:
        UsageError: if a name is unknown, or ONNX Runtime is asked for together with a GPU.
        ModelError: if what was asked for is not installed, or there is no such GPU.
    """
    if runtime not in ("auto", "onnx", "torch"):
        raise UsageError(f"layout runtime {runtime!r}: expected auto, onnx or torch")
    if device not in ("auto", "cpu") and not (device == "cuda" or device.removeprefix("cuda:").isdigit()):
        raise UsageError(f"device {device!r}: expected auto, cpu, cuda or cuda:<number>")
    if runtime == "onnx" and device.startswith("cuda"):
        raise UsageError("the onnx layout runtime runs on the CPU; use --device cpu, or the torch runtime")
    if runtime == "torch" and not is_installed("torch"):
        raise ModelError("the torch layout runtime needs torch: pip install 'mineru-accel[torch]'")
    if device.startswith("cuda"):
        if not is_installed("torch"):
            raise ModelError("layout on a GPU needs torch: pip install 'mineru-accel[torch]'")
        if (number := int(device.partition(":")[2] or 0)) >= gpus.visible():
            raise ModelError(f"device {device}: torch sees {gpus.visible()} GPUs" if number else "torch sees no GPU")
        return "torch", device
    if device == "auto" and runtime != "onnx" and is_installed("torch") and gpus.likely() and gpus.visible():
        return "torch", "cuda"
    if runtime == "auto":
        runtime = "onnx" if is_installed("onnxruntime") and is_installed("onnx") else "torch"
        if runtime == "torch" and not is_installed("torch"):
            raise ModelError("layout detection needs ONNX Runtime (pip install onnx onnxruntime) or torch")
    elif runtime == "onnx" and not (is_installed("onnxruntime") and is_installed("onnx")):
        raise ModelError("the onnx layout runtime needs: pip install onnx onnxruntime")
    return runtime, "cpu"


def open_runtime(
    graph: Graph, runtime: str, device: str, *, imgsz: int, threads: int | None, precision: str
) -> Runtime:
    """Load a graph into the runtime that :func:`choose_runtime` has named.

    Args:
        imgsz: longest side of the network's input.

    Raises:
        UsageError: if the precision is unknown, or none of the runtime's.
    """
    if precision not in ("auto", "fp32", "fp16"):
        raise UsageError(f"precision {precision!r}: expected auto, fp32 or fp16")
    if runtime == "onnx":
        from .onnx import OnnxRuntime

        if precision == "fp16":
            raise UsageError("the onnx layout runtime computes in fp32")
        return OnnxRuntime(graph, threads)
    if device.startswith("cuda") and precision != "fp32":
        from .gpu import GpuRuntime

        return GpuRuntime(graph, device, imgsz)
    from .torch import TorchRuntime

    return TorchRuntime(graph, device, threads, precision)
