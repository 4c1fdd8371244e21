"""model.safetensors -> two ONNX graphs, in float32 and in 8 bits, and the vocabulary.

    python -m samples.training.formula.export MODEL.safetensors OUT

encoder: image [batch, 1, height, width] float32, ink 0 to 1, multiples of 16 and 8 pixels -> cross
[2, blocks, batch, heads, cells, 64], keys and values for the decoder.
step: ids [batch, 1] int64, position [1] int64, past [2, blocks, batch, heads, tokens so far, 64], cross -> id [batch]
int64, likely [batch] float32 (log-probability), present (past with this token's). recognise.py runs them.

8 bits: matrices per column with activations quantised as they come (MatMulInteger), convolutions' weights per output
channel, multiplied out when a session starts."""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from samples.training.formula import network, weightfile
from samples.training.formula.network import HEAD, Recogniser, places

MOST_ROWS, MOST_COLUMNS = 64, 256  # cells
OPSET = 17


def read(path):
    """The recogniser of a file of weights, ready to work, and the file's notes."""
    named, notes = weightfile.read(path)
    blocks = int(notes["encoder"]), int(notes["decoder"])
    model = Recogniser(json.loads(notes["vocab"]), int(notes["width"]), *blocks, int(notes["stem"]))
    model.load_state_dict(named, strict=False)
    return model.eval(), notes


def _fold(stem):
    """The stem with its batch norms folded into the convolutions before them."""
    out, layers = [], list(stem)
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, network.Residual):
            layer.conv1, layer.norm1 = fuse_conv_bn_eval(layer.conv1, layer.norm1), nn.Identity()
            layer.conv2, layer.norm2 = fuse_conv_bn_eval(layer.conv2, layer.norm2), nn.Identity()
            if not isinstance(layer.short, nn.Identity):
                layer.short = fuse_conv_bn_eval(*layer.short)
            out.append(layer)
        elif isinstance(layer, nn.Conv2d) and isinstance(after, network.BatchNorm):
            out.append(fuse_conv_bn_eval(layer, after))
        elif isinstance(layer, nn.ReLU):
            out.append(layer)
    return nn.Sequential(*out)


class PlainNorm(nn.Module):
    """Root mean square norm in plain operations."""

    def __init__(self, norm):
        super().__init__()
        self.weight = norm.weight

    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * self.weight


def _plain(module):
    for name, child in module.named_children():
        if isinstance(child, network.Norm):
            setattr(module, name, PlainNorm(child))
        else:
            _plain(child)


class Encoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.stem, self.encoder, self.decoder, self.memory = (
            _fold(model.stem),
            model.encoder,
            model.decoder,
            model.memory,
        )
        table = places(MOST_ROWS, MOST_COLUMNS, model.width, "cpu") * model.place.detach()
        half = model.width // 2
        self.register_buffer("rows", table[:, :1, :half].clone())
        self.register_buffer("columns", table[:1, :, half:].clone())

    def forward(self, image):
        x = self.stem(image).permute(0, 2, 3, 1)
        rows, columns, half = x.shape[1], x.shape[2], x.shape[3] // 2
        x = torch.cat([x[..., :half] + self.rows[:rows], x[..., half:] + self.columns[:, :columns]], 3)
        x = x.flatten(1, 2)
        for block in self.encoder:
            x = block(x)
        memory = self.memory(x)
        both = [block.cross.kv(memory).view(x.shape[0], -1, 2, x.shape[2] // HEAD, HEAD) for block in self.decoder]
        return torch.stack(both).permute(3, 0, 1, 4, 2, 5)


class Step(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model, self.count = model, len(model.vocab)

    def forward(self, ids, position, past, cross):
        model = self.model
        x = model.embedding(ids) * (0.5 * model.width**0.5) + model.order(position)
        keys, values = [], []
        for k, block in enumerate(model.decoder):
            x, (key, value) = block(x, cross[0, k], cross[1, k], (past[0, k], past[1, k]))
            keys.append(key)
            values.append(value)
        likely, best = model.logits(x)[:, -1, : self.count].log_softmax(-1).max(-1)
        return best, likely, torch.stack([torch.stack(keys), torch.stack(values)])


def graphs(model, folder):
    """Writes encoder.onnx and step.onnx in float32."""
    _plain(model)
    heads, blocks = model.width // HEAD, len(model.decoder)
    encoder, step = Encoder(model).eval(), Step(model).eval()
    image = torch.rand(2, 1, 64, 256)
    cross = encoder(image)
    past = torch.rand(2, blocks, 2, heads, 3, HEAD)
    torch.onnx.export(
        encoder, (image,), str(folder / "encoder.onnx"), opset_version=OPSET, dynamo=False,
        input_names=["image"], output_names=["cross"],
        dynamic_axes={"image": {0: "batch", 2: "height", 3: "width"}, "cross": {2: "batch", 4: "cells"}},
    )  # fmt: skip
    torch.onnx.export(
        step, (torch.ones(2, 1, dtype=torch.long), torch.tensor([3]), past, cross), str(folder / "step.onnx"),
        opset_version=OPSET, dynamo=False,
        input_names=["ids", "position", "past", "cross"], output_names=["id", "likely", "present"],
        dynamic_axes={
            "ids": {0: "batch"}, "past": {2: "batch", 4: "tokens"}, "cross": {2: "batch", 4: "cells"},
            "id": {0: "batch"}, "likely": {0: "batch"}, "present": {2: "batch", 4: "more"},
        },
    )  # fmt: skip


def _shrink(path):
    """What is still float32: convolutions' weights -> int8 for each output channel, tables -> float16; nodes that make
    them float32 again run once, when a session starts, or cost little."""
    model = onnx.load(str(path))
    names = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    kept, added = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= 4096 and tensor.name not in names:
            kept.append(numpy_helper.from_array(values.astype(np.float16), tensor.name + "_16"))
            added.append(helper.make_node("Cast", [tensor.name + "_16"], [tensor.name], to=TensorProto.FLOAT))
            continue
        if tensor.name not in names or values.size < 4096:
            kept.append(tensor)
            continue
        scale = (np.abs(values).max((1, 2, 3)) / 127).astype(np.float32)
        small = np.round(values / scale[:, None, None, None]).astype(np.int8)
        kept.append(numpy_helper.from_array(small, tensor.name + "_8"))
        kept.append(numpy_helper.from_array(scale, tensor.name + "_scale"))
        added.append(
            helper.make_node("DequantizeLinear", [tensor.name + "_8", tensor.name + "_scale"], [tensor.name], axis=0)
        )
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = added + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    model, notes = read(args.model)
    for name in ("float", "int8"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
        (args.out / name / "vocab.json").write_text(notes["vocab"], encoding="utf-8")
    graphs(model, args.out / "float")
    for name in ("encoder.onnx", "step.onnx"):
        small = args.out / "int8" / name
        quantize_dynamic(
            str(args.out / "float" / name), str(small), op_types_to_quantize=["MatMul"], per_channel=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
        _shrink(small)
        for path in (args.out / "float" / name, small):
            print(path, round(path.stat().st_size / 1e6, 2), "MB")


if __name__ == "__main__":
    main()
