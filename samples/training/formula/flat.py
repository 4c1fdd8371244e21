"""A network's parameters, gradients and running statistics as views of three long buffers.

One sum over the GPUs, one clip, one optimizer step and one average then handle everything."""

import torch


def _view(buffer, at, like):
    """A view of buffer[at:] with the shape and the memory order of `like` (convolutions' are channels last)."""
    part = buffer[at : at + like.numel()]
    if like.dim() == 4 and like.shape[1] > 1 and like.shape[2] > 1:
        out, inside, high, wide = like.shape
        return part.view(out, high, wide, inside).permute(0, 3, 1, 2)
    return part.view(like.shape)


class Flat:
    """weights, gradient: [parameters + spare], those with weight decay first; statistics: batch norms' running ones.

    The gradient ends with `spare` numbers that travel with it in `share`."""

    def __init__(self, model, spare=2):
        named = [(name, value) for name, value in model.named_parameters()]
        named.sort(key=lambda pair: pair[1].dim() < 2)
        self.decayed = sum(value.numel() for _, value in named if value.dim() >= 2)
        self.count = sum(value.numel() for _, value in named)
        device = named[0][1].device
        self.weights = torch.zeros(self.count, device=device)
        self.gradient = torch.zeros(self.count + spare, device=device)
        self.views, at = {}, 0
        for name, value in named:
            view = _view(self.weights, at, value)
            view.copy_(value.detach())
            value.data, value.grad = view, _view(self.gradient, at, value)
            self.views[name] = (at, view)
            at += value.numel()
        running = [(name, value) for name, value in model.named_buffers() if "running" in name]
        self.statistics = torch.zeros(sum(value.numel() for _, value in running), device=device)
        self.running, at = {}, 0
        for name, value in running:
            # .data: writing to one of them must not look to autograd like writing to all.
            view = self.statistics.data[at : at + value.numel()].view(value.shape).data
            view.copy_(value)
            owner = model.get_submodule(name.rpartition(".")[0])
            owner._buffers[name.rpartition(".")[2]] = view
            self.running[name] = view
            at += value.numel()
        self.average = self.weights.clone()

    def named(self, average=True):
        """{name: tensor} of all weights (their running average or they themselves) and statistics."""
        source = self.average if average else self.weights
        out = {name: _view(source, at, view) for name, (at, view) in self.views.items()}
        return {**out, **self.running}

    def load(self, named):
        """Takes weights and statistics from {name: tensor}; what is missing or of another shape stays."""
        left = []
        for name, view in [*((n, v) for n, (_, v) in self.views.items()), *self.running.items()]:
            if name in named and named[name].shape == view.shape:
                view.copy_(named[name].to(view))
            else:
                left.append(name)
        self.average.copy_(self.weights)
        return left
