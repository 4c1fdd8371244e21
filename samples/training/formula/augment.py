"""Batches of pictures, drawn and worn on the device: size, place, tilt, crumbs, cut edges, blur, noise, tint."""

import torch
import torch.nn.functional as F

from samples.training.formula.crops import CELL


def _sample(store, index, scale_x, scale_y, left, top, tilt, height, width):
    """Pictures resampled (bilinear) into [batch, height, width], ink 0 to 1. left, top: where each begins (pixels)."""
    device = store.device
    offset = torch.as_tensor(store.offset[index], device=device).view(-1, 1, 1)
    high = torch.as_tensor(store.height[index], device=device).long().view(-1, 1, 1)
    wide = torch.as_tensor(store.width[index], device=device).long().view(-1, 1, 1)
    scale_x, scale_y, left, top, tilt = (v.view(-1, 1, 1) for v in (scale_x, scale_y, left, top, tilt))
    y = torch.arange(height, device=device).view(1, height, 1) + 0.5 - top
    x = torch.arange(width, device=device).view(1, 1, width) + 0.5 - left
    middle_y, middle_x = high * scale_y / 2, wide * scale_x / 2
    source_y = (y - tilt * (x - middle_x)) / scale_y - 0.5
    source_x = (x + tilt * (y - middle_y)) / scale_x - 0.5
    y0, x0 = source_y.floor(), source_x.floor()
    kind = torch.float16 if device == "cuda" else torch.float32
    part_y, part_x = (source_y - y0).to(kind), (source_x - x0).to(kind)
    y0, x0 = y0.int(), x0.int()
    inside_y, inside_y1 = (y0 >= 0) & (y0 < high), (y0 >= -1) & (y0 < high - 1)
    inside_x, inside_x1 = (x0 >= 0) & (x0 < wide), (x0 >= -1) & (x0 < wide - 1)
    base = offset + y0 * wide + x0

    def pixel(down, right, inside):
        value = store.pixels[torch.where(inside, base + down * wide + right, 0)]
        return torch.where(inside, 255 - value, 0).to(kind) / 255

    upper = pixel(0, 0, inside_y & inside_x) * (1 - part_x) + pixel(0, 1, inside_y & inside_x1) * part_x
    lower = pixel(1, 0, inside_y1 & inside_x) * (1 - part_x) + pixel(1, 1, inside_y1 & inside_x1) * part_x
    return (upper * (1 - part_y) + lower * part_y).float()


def plain(store, batch):
    """A test batch: [batch, 1, height, width], ink 0 to 1, each picture 5 pixels from the upper left corner."""
    index, factor, height, width = batch
    factor = torch.as_tensor(factor, device=store.device).float()
    place, none = torch.full_like(factor, 5.0), torch.zeros_like(factor)
    return _sample(store, index, factor, factor, place, place, none, height * CELL[0], width * CELL[1])[:, None]


def _gauss(x, sigma):
    taps = torch.exp(-(torch.arange(-2, 3, device=x.device).float() ** 2) / (2 * sigma * sigma))
    taps = (taps / taps.sum()).view(1, 1, 1, 5)
    x = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), taps)
    return F.conv2d(x, taps.transpose(2, 3))


def worn(store, batch, rng):
    """A training batch like `plain`'s: loose and cut crops, crumbs of neighbours, scans, tinted boxes, faint print."""
    index, factor, rows, columns = batch
    height, width, count, device = rows * CELL[0], columns * CELL[1], len(index), store.device

    def uniform(low=0.0, high=1.0):
        return low + (high - low) * torch.rand(count, device=device)

    def chance(share):
        return torch.rand(count, device=device) < share

    factor = torch.as_tensor(factor, device=device).float()
    high = torch.as_tensor(store.height[index], device=device).float()
    wide = torch.as_tensor(store.width[index], device=device).float()
    stretch = torch.exp(torch.randn(count, device=device) * 0.03).clamp(0.93, 1.07)
    scale_x = torch.minimum(factor * stretch, (width - 2) / wide)
    scale_y = torch.minimum(factor / stretch, (height - 2) / high)
    spare_x, spare_y = width - wide * scale_x, height - high * scale_y
    left = torch.minimum(uniform() * spare_x, 1 + 14 * uniform())
    top = torch.minimum(uniform() * spare_y, 1 + 14 * uniform())
    tilt = torch.randn(count, device=device) * 0.006 * chance(0.25)
    image = _sample(store, index, scale_x, scale_y, left, top, tilt, height, width)

    # The crop's own edges, in pixels: behind the ink by a margin, now and then up to 2 pixels into it.
    right = left + wide * scale_x
    bottom = top + high * scale_y
    edge_left = (left - torch.where(chance(0.06), -2 * uniform(), 12 * uniform())).clamp(min=0)
    edge_top = (top - torch.where(chance(0.06), -2 * uniform(), 12 * uniform())).clamp(min=0)
    edge_right = (right + torch.where(chance(0.06), -2 * uniform(), 16 * uniform())).clamp(max=width)
    edge_bottom = (bottom + torch.where(chance(0.06), -2 * uniform(), 16 * uniform())).clamp(max=height)
    if rng.random() < 0.3:
        # A neighbour's edge, 1 to 5 pixels of it, at one side of the crop, for half of the pictures.
        other = torch.as_tensor(rng.permutation(count), device=device)
        partner = index[other.cpu().numpy()]
        depth, side = 1 + 4 * uniform(), int(rng.integers(0, 4))
        size_x, size_y = wide[other] * scale_x[other], high[other] * scale_y[other]
        shift_x, shift_y = left + (uniform() - 0.5) * 60, top + (uniform() - 0.5) * 20
        if side == 0:
            shift_y = edge_top + depth - size_y
            fits = top - edge_top > depth
        elif side == 1:
            shift_y = edge_bottom - depth
            fits = edge_bottom - bottom > depth
        elif side == 2:
            shift_x = edge_left + depth - size_x
            fits = left - edge_left > depth + 2
        else:
            shift_x = edge_right - depth
            fits = edge_right - right > depth + 2
        still = torch.zeros_like(tilt)
        crumb = _sample(store, partner, scale_x[other], scale_y[other], shift_x, shift_y, still, height, width)
        image = torch.maximum(image, crumb * (fits & chance(0.5)).view(-1, 1, 1))
    y = torch.arange(height, device=device).view(1, height, 1)
    x = torch.arange(width, device=device).view(1, 1, width)
    inside = (y >= edge_top.view(-1, 1, 1).floor()) & (y < edge_bottom.view(-1, 1, 1).ceil())
    inside = (inside & (x >= edge_left.view(-1, 1, 1).floor()) & (x < edge_right.view(-1, 1, 1).ceil()))[:, None]
    image = image[:, None] * inside

    # Bolder and thinner strokes.
    u = rng.random()
    if u < 0.08:
        image = image + (F.max_pool2d(image, 3, 1, 1) - image) * (0.5 * uniform()).view(-1, 1, 1, 1)
    elif u < 0.14:
        image = image + (-F.max_pool2d(-image, 3, 1, 1) - image) * (0.4 * uniform()).view(-1, 1, 1, 1)
    # Soft and coarse pictures, and those of two levels.
    u = rng.random()
    if u < 0.25:
        image = _gauss(image, 0.4 + 0.7 * rng.random())
    elif u < 0.38:
        small = F.interpolate(image, scale_factor=1 / (1.2 + 0.7 * rng.random()), mode="area")
        image = F.interpolate(small, size=(height, width), mode="bilinear")
    elif u < 0.46:
        image = (image > 0.2 + 0.3 * rng.random()).float()
    power = torch.exp(torch.randn(count, 1, 1, 1, device=device) * 0.25)
    image = image.clamp(0, 1) ** power * (1 - 0.5 * torch.rand(count, 1, 1, 1, device=device) ** 2)
    if rng.random() < 0.3:
        grain = 0.12 * rng.random() * torch.rand(count, 1, 1, 1, device=device)
        image = image + (grain + torch.randn_like(image) * (0.08 * rng.random())) * inside
    if rng.random() < 0.25:
        # A tinted box: the crop's paper is darker than the paper around it.
        tint = (0.3 * uniform() * chance(0.5)).view(-1, 1, 1, 1)
        image = torch.where(inside, tint + (1 - tint) * image, image)
    return image.clamp(0, 1)
