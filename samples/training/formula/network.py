"""The recogniser: a convolutional stem, a transformer over its cells, a transformer that writes tokens.

Picture [batch, 1, height, width], ink 0 to 1 -> one vector for each 16 x 8 pixels -> tokens, one after the other.

Batch norm in the stem and on the encoder's output is no matter of taste: pages are mostly blank, and with layer norm
the part of the encoder's output that depends on the picture (`share` in train.py's log) dies in the first minutes."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from samples.training.formula.tokens import BOS, EOS, PAD

LONGEST = 288  # tokens, <bos> and <eos> among them
HEAD = 64


class Norm(nn.Module):
    """Root mean square norm over the last axis."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), 1e-6)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm by PyTorch's own kernel: cuDNN would plan anew for every shape."""

    def forward(self, x):
        return torch.batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.training,
            self.momentum,
            self.eps,
            False,
        )


class MemoryNorm(nn.Module):
    """Batch norm without weights over all cells of the encoder's output: what all pictures share can't grow."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x):
        if not self.training:
            return (x - self.running_mean) * torch.rsqrt(self.running_var + 1e-5)
        var, mean = torch.var_mean(x.float(), (0, 1), unbiased=False)
        with torch.no_grad():
            self.running_mean.lerp_(mean, 0.02)
            self.running_var.lerp_(var, 0.02)
        return (x - mean) * torch.rsqrt(var + 1e-5)


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inside, out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = BatchNorm(out, momentum=0.02), BatchNorm(out, momentum=0.02)
        self.short = (
            nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), BatchNorm(out, momentum=0.02))
            if inside != out or stride != 1
            else nn.Identity()
        )

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.short(x) + self.norm2(self.conv2(y)))


def _heads(x, count):
    """[batch, length, count * width] -> count tensors [batch, heads, length, HEAD]."""
    batch, length, _ = x.shape
    return x.view(batch, length, count, -1, HEAD).permute(2, 0, 3, 1, 4).unbind(0)


class SelfAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x, causal=False, past=None):
        """past: (keys, values) of the tokens before. Returns (y, (keys, values) with this one's)."""
        query, key, value = _heads(self.qkv(x), 3)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        y = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        return self.out(y.transpose(1, 2).flatten(2)), (key, value)


class CrossAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.query, self.kv = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x, key, value):
        (query,) = _heads(self.query(x), 1)
        y = F.scaled_dot_product_attention(query, key, value)
        return self.out(y.transpose(1, 2).flatten(2))


class Feed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inside, self.out = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        return self.out(F.gelu(self.inside(x), approximate="tanh"))


class EncoderBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attention, self.feed = SelfAttention(width), Feed(width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))[0]
        return x + self.feed(self.norm2(x))


class DecoderBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = Norm(width), Norm(width), Norm(width)
        self.attention, self.cross, self.feed = SelfAttention(width), CrossAttention(width), Feed(width)

    def forward(self, x, key, value, past=None, causal=False):
        y, present = self.attention(self.norm1(x), causal, past)
        x = x + y
        x = x + self.cross(self.norm2(x), key, value)
        return x + self.feed(self.norm3(x)), present


def places(rows, columns, width, device):
    """Sines and cosines of a cell's row and column: [rows, columns, width]."""
    quarter = width // 4
    speed = torch.exp(-math.log(10000.0) * torch.arange(quarter, device=device) / quarter) * 2
    y, x = torch.arange(rows, device=device)[:, None] * speed, torch.arange(columns, device=device)[:, None] * speed
    y = torch.cat([y.sin(), y.cos()], 1)[:, None].expand(rows, columns, 2 * quarter)
    x = torch.cat([x.sin(), x.cos()], 1)[None].expand(rows, columns, 2 * quarter)
    return torch.cat([y, x], 2)


class Recogniser(nn.Module):
    """vocab: the tokens; width: of the transformers; blocks: of encoder and decoder."""

    def __init__(self, vocab, width=384, encoder=6, decoder=4, stem=32):
        super().__init__()
        self.vocab, self.width = vocab, width
        rows = (len(vocab) + 63) // 64 * 64
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, 5, 2, 2, bias=False), BatchNorm(stem, momentum=0.02), nn.ReLU(),
            Residual(stem, 2 * stem, 2), Residual(2 * stem, 2 * stem),
            Residual(2 * stem, 4 * stem, 2), Residual(4 * stem, 4 * stem),
            Residual(4 * stem, 8 * stem, (2, 1)), Residual(8 * stem, 8 * stem),
            nn.Conv2d(8 * stem, width, 1, bias=False), BatchNorm(width, momentum=0.02),
        )  # fmt: skip
        self.encoder = nn.ModuleList([EncoderBlock(width) for _ in range(encoder)])
        self.memory = MemoryNorm(width)
        self.place = nn.Parameter(torch.tensor(0.2))
        self.decoder = nn.ModuleList([DecoderBlock(width) for _ in range(decoder)])
        self.last = Norm(width)
        self.embedding = nn.Embedding(rows, width)
        self.order = nn.Embedding(LONGEST, width)
        self.bag = nn.Linear(width, rows)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in")
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.order.weight, std=0.1)
        nn.init.constant_(self.bag.bias, -4.0)
        for block in [*self.encoder, *self.decoder]:
            for name, weight in block.named_parameters():
                if name.endswith("out.weight"):
                    weight.data.mul_(1 / math.sqrt(2 * (encoder + decoder)))

    def encode(self, image):
        """[batch, 1, height, width] -> memory [batch, cells, width]; the residual stream stays float32."""
        x = self.stem(image.contiguous(memory_format=torch.channels_last)).float()
        rows, columns = x.shape[2:]
        x = x.permute(0, 2, 3, 1).flatten(1, 2)
        x = x + self.place * places(rows, columns, self.width, x.device).flatten(0, 1)
        for block in self.encoder:
            x = block(x)
        return self.memory(x)

    def cross(self, memory):
        """memory -> (keys, values) of each decoder block."""
        return [_heads(block.cross.kv(memory), 2) for block in self.decoder]

    def embed(self, ids, first=0):
        """ids [batch, length] -> [batch, length, width]; first: the first one's position."""
        order = self.order.weight[first : first + ids.shape[1]]
        return self.embedding(ids) * (0.5 * math.sqrt(self.width)) + order

    def logits(self, x):
        return self.last(x) @ self.embedding.weight.t().to(x.dtype)

    def decode(self, ids, memory):
        """ids [batch, length] -> logits of the tokens that follow, [batch, length, vocabulary]."""
        x = self.embed(ids)
        for block, (key, value) in zip(self.decoder, self.cross(memory), strict=True):
            x, _ = block(x, key, value, causal=True)
        return self.logits(x)

    def bag_loss(self, memory, ids):
        """Which tokens are in the picture: a question that knowing LaTeX doesn't answer."""
        here = torch.zeros(len(ids), self.bag.out_features, device=ids.device).scatter_(1, ids, 1.0)
        here[:, :4] = 0
        said = self.bag(memory.amax(1)).float()
        return F.binary_cross_entropy_with_logits(said, here, reduction="sum") / here.sum().clamp(min=1)

    def set_training(self, frozen):
        """Training mode; frozen: batch norms keep their running statistics, as at work, whatever the batch's shape."""
        self.train()
        if frozen:
            for module in self.modules():
                if isinstance(module, BatchNorm | MemoryNorm):
                    module.eval()

    @torch.no_grad()
    def generate(self, image, longest=LONGEST - 2):
        """The likeliest token each time. Returns ids [batch, length] and the mean log-probability of each answer."""
        memory = self.encode(image)
        cross, past = self.cross(memory), [None] * len(self.decoder)
        ids = torch.full((len(image), 1), BOS, device=image.device)
        done = torch.zeros(len(image), dtype=torch.bool, device=image.device)
        total, count, out = torch.zeros(len(image), device=image.device), 0, []
        for step in range(longest):
            x = self.embed(ids, step)
            for k, (block, (key, value)) in enumerate(zip(self.decoder, cross, strict=True)):
                x, past[k] = block(x, key, value, past[k])
            likely, ids = self.logits(x)[:, -1].float().log_softmax(-1).max(-1)
            ids = torch.where(done, PAD, ids)
            total += torch.where(done, 0.0, likely)
            count = count + (~done).float()
            out.append(ids)
            done |= ids == EOS
            ids = ids[:, None]
            if step % 8 == 7 and bool(done.all()):
                break
        return torch.stack(out, 1), total / count
