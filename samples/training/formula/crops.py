"""Pictures of formulas in the device's memory, and batches of few fixed shapes."""

import numpy as np
import torch

CELL = (16, 8)  # pixels of a position of the encoder, height and width
MOST_CELLS = 1800  # of a picture
HEIGHTS = np.array([2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 40])  # in cells
WIDTHS = np.array([8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 136, 160, 184])
SHORT = 20  # tokens: what training begins with, and the probe's formulas
MARGIN = 10  # pixels around the ink, both sides together, at least


class Store:
    """All pixels in one buffer (uint8), with offset, height, width and tokens of each picture."""

    def __init__(self, gib, device):
        self.device = device
        self.pixels = torch.empty(int(gib * 2**30), dtype=torch.uint8, device=device)
        self.used, self.tokens = 0, np.zeros(0, np.int16)
        self.offset, self.first = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.height, self.width, self.length = (np.zeros(0, np.int32) for _ in range(3))

    def __len__(self):
        return len(self.offset)

    def add(self, chunks):
        """chunks: of pages.load. Returns False where the buffer is full."""
        offsets, firsts, shapes, spelt, at = [], [], [], [self.tokens], len(self.tokens)
        room = True
        for pixels, shape, ids in chunks:
            if self.used + len(pixels) > self.pixels.numel():
                room = False
                break
            self.pixels[self.used : self.used + len(pixels)] = torch.from_numpy(pixels).to(self.device)
            sizes = shape[:, 0].astype(np.int64) * shape[:, 1]
            lengths = shape[:, 2].astype(np.int64)
            offsets.append(np.cumsum(sizes) - sizes + self.used)
            firsts.append(np.cumsum(lengths) - lengths + at)
            shapes.append(shape)
            spelt.append(ids)
            self.used += len(pixels)
            at += len(ids)
        if shapes:
            shape = np.concatenate(shapes)
            self.tokens = np.concatenate(spelt)
            self.offset = np.concatenate([self.offset, *offsets])
            self.first = np.concatenate([self.first, *firsts])
            self.height = np.concatenate([self.height, shape[:, 0]])
            self.width = np.concatenate([self.width, shape[:, 1]])
            self.length = np.concatenate([self.length, shape[:, 2]])
        return room

    def keep(self, index):
        """Leaves only these pictures (their pixels stay where they are)."""
        for name in ("offset", "first", "height", "width", "length"):
            setattr(self, name, getattr(self, name)[index])

    def answer(self, k):
        """The tokens (ints) of picture k."""
        return self.tokens[self.first[k] : self.first[k] + self.length[k]].tolist()

    def targets(self, index):
        """[batch, length] int64: <bos> tokens <eos> <pad>...; the length is a multiple of 8 and 1."""
        longest = (int(self.length[index].max()) + 8) // 8 * 8 + 1
        out = np.zeros((len(index), longest), np.int64)
        out[:, 0] = 1
        for row, k in enumerate(index):
            length = self.length[k]
            out[row, 1 : 1 + length] = self.tokens[self.first[k] : self.first[k] + length]
            out[row, 1 + length] = 2
        return torch.from_numpy(out)


def plan(store, rng, budget, longest=0, jitter=(-0.18, 0.14)):
    """Training batches: (pictures, factor of each one's size, height and width in cells), each of at most `budget`
    cells, its size a function of the shape; a shape's rest is filled up with repeats."""
    index = np.arange(len(store))
    if longest:
        index = index[(store.length <= longest) & (store.height < 100)]
    index = rng.permutation(index)
    height, width = store.height[index], store.width[index]
    factor = np.exp(rng.uniform(*jitter, len(index)))
    factor = np.minimum(factor, np.sqrt(MOST_CELLS * CELL[0] * CELL[1] / ((height + 20.0) * (width + 16.0))))
    # Now and then the next larger shape: wide margins.
    row = np.searchsorted(HEIGHTS, (height * factor + MARGIN) / CELL[0]) + (rng.random(len(index)) < 0.12)
    column = np.searchsorted(WIDTHS, (width * factor + MARGIN) / CELL[1]) + (rng.random(len(index)) < 0.08)
    row, column = row.clip(0, len(HEIGHTS) - 1), column.clip(0, len(WIDTHS) - 1)
    factor = np.minimum(factor, (HEIGHTS[row] * CELL[0] - 6) / height)
    factor = np.minimum(factor, (WIDTHS[column] * CELL[1] - 6) / width)
    key = row * len(WIDTHS) + column
    order = np.argsort(key, kind="stable")
    cuts = np.searchsorted(key[order], np.arange(len(HEIGHTS) * len(WIDTHS) + 1))
    batches, carried = [], {}
    for shape in range(len(HEIGHTS) * len(WIDTHS)):
        i, j = divmod(shape, len(WIDTHS))
        group = np.concatenate([carried.pop(shape, np.zeros(0, int)), order[cuts[shape] : cuts[shape + 1]]])
        if len(group) == 0:
            continue
        size = int(np.clip(budget // (HEIGHTS[i] * WIDTHS[j]), 4, 1536))
        size = size if size < 16 else size // 8 * 8
        full = len(group) // size * size
        rest = group[full:]
        if len(rest) and len(rest) < size // 2 and j + 1 < len(WIDTHS) and WIDTHS[j + 1] <= 1.5 * WIDTHS[j]:
            carried[shape + 1] = rest
        elif len(rest):
            group = np.concatenate([group, rng.choice(group, size - len(rest))])
            full += size
        for at in range(0, full, size):
            part = group[at : at + size]
            batches.append((index[part], factor[part], int(HEIGHTS[i]), int(WIDTHS[j])))
    return [batches[k] for k in rng.permutation(len(batches))]


def plan_test(store, budget):
    """Batches of all pictures at their own size, in the smallest shapes."""
    factor = np.minimum(1, np.sqrt(MOST_CELLS * CELL[0] * CELL[1] / ((store.height + 20.0) * (store.width + 16.0))))
    row = np.searchsorted(HEIGHTS, (store.height * factor + MARGIN) / CELL[0]).clip(0, len(HEIGHTS) - 1)
    column = np.searchsorted(WIDTHS, (store.width * factor + MARGIN) / CELL[1]).clip(0, len(WIDTHS) - 1)
    factor = np.minimum(factor, (HEIGHTS[row] * CELL[0] - 6) / store.height)
    factor = np.minimum(factor, (WIDTHS[column] * CELL[1] - 6) / store.width)
    batches = []
    for shape in sorted(set(zip(row.tolist(), column.tolist(), strict=True))):
        height, width = int(HEIGHTS[shape[0]]), int(WIDTHS[shape[1]])
        group = np.flatnonzero((row == shape[0]) & (column == shape[1]))
        size = max(1, budget // (height * width))
        for at in range(0, len(group), size):
            part = group[at : at + size]
            batches.append((part, factor[part], height, width))
    return batches
