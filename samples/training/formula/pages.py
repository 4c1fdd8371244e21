"""PDF pages of one formula -> grey pictures, in processes of their own."""

import bz2
import collections
import math
import multiprocessing
import os
import random
import tarfile
import threading
import time
import zlib
from pathlib import Path

import numpy as np

from samples.training.formula import tokens

CHUNK = 400  # pages of a job
LONGEST = 280  # tokens
TESTS = ("held", "lines", "slice")  # what these documents' names begin with
TEST_SCALE = 2.2  # pixels a point: 160 dpi
WIDEST, HIGHEST, MOST = 1400, 620, 500_000  # pixels of a picture at its drawn size, before any jitter
_spelling = {}


def start_worker(vocab):
    os.nice(5)
    _spelling.update({token: number for number, token in enumerate(vocab)})


def draw(job):
    """job: (PDF, its labels, first page, lowest and highest scale in pixels a point, seed, file to write) -> that file.

    The file holds three arrays: all pictures' pixels (uint8, paper 255), [height, width, tokens] of each (int32), and
    all tokens (int16). Pages whose label has an unknown token are left out."""
    import pypdfium2

    path, labels, first, low, high, seed, out = job
    rng = random.Random(seed)
    document = pypdfium2.PdfDocument(path)
    pixels, shapes, spelt = [], [], []
    last = min(first + CHUNK, len(labels)) if abs(len(document) - len(labels)) == 0 else first
    for number in range(first, last):
        if labels[number] == "-":
            continue
        ids = [_spelling.get(token, -1) for token in tokens.split(labels[number])]
        if not ids or min(ids) < 0 or len(ids) > LONGEST:
            continue
        page = document[number]
        width, height = page.get_size()
        scale = math.exp(rng.uniform(math.log(low), math.log(high)))
        scale = min(scale, WIDEST / width, HIGHEST / height, math.sqrt(MOST / (width * height)))
        grey = page.render(scale=scale, grayscale=True).to_numpy()
        grey = grey[..., 0] if grey.ndim == 3 else grey
        page.close()
        ink = grey < 200
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        if len(rows) == 0:
            continue
        grey = np.ascontiguousarray(grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        pixels.append(grey.reshape(-1))
        shapes.append((*grey.shape, len(ids)))
        spelt += ids
    document.close()
    with open(out + ".part", "wb") as file:
        np.save(file, np.concatenate(pixels) if pixels else np.zeros(0, np.uint8))
        np.save(file, np.array(shapes, np.int32).reshape(-1, 3))
        np.save(file, np.array(spelt, np.int16))
    os.replace(out + ".part", out)
    return out


def load(path):
    """What `draw` wrote, and the file removed."""
    with open(path, "rb") as file:
        arrays = np.load(file), np.load(file), np.load(file)
    os.remove(path)
    return arrays


def _unpack(job):
    data, path = job
    Path(path + ".part").write_bytes(bz2.decompress(data))
    os.replace(path + ".part", path)
    return path


class Library:
    """Documents that arrive in packs, drawn by a pool of processes, again and again at new scales.

    folder: where packs (*.tar) appear; cache: a folder of this process alone."""

    def __init__(self, folder, cache, vocab, workers, seed, scales=(1.7, 2.7)):
        self.folder, self.cache, self.seed, self.scales = Path(folder), Path(cache), seed, scales
        self.cache.mkdir(parents=True, exist_ok=True)
        self.seen, self.documents, self.tests, self.passes = set(), {}, {}, 0
        self.waiting, self.loaded = [], collections.deque()
        self.pool = multiprocessing.get_context("fork").Pool(workers, start_worker, (vocab,))
        threading.Thread(target=self._fetch, daemon=True).start()

    def look(self):
        """Takes in new packs. Returns how many documents came."""
        count = 0
        for pack in sorted(self.folder.glob("*.tar")):
            if pack in self.seen:
                continue
            self.seen.add(pack)
            work, found = [], {}
            with tarfile.open(pack) as archive:
                for member in archive:
                    data = archive.extractfile(member).read()
                    name = member.name.removesuffix(".bz2")
                    if name.endswith(".txt"):
                        found.setdefault(name[:-4], {})["labels"] = bz2.decompress(data).decode().split("\n")
                    else:
                        found.setdefault(name[:-4], {})["path"] = str(self.cache / name)
                        work.append((data, str(self.cache / name)))
            self.pool.map(_unpack, work, chunksize=1)
            self.documents.update(found)
            for kind in TESTS:
                jobs = self._jobs(found, 0, kind, (TEST_SCALE, TEST_SCALE))
                self.tests.setdefault(kind, []).extend(self.pool.apply_async(draw, (job,)) for job in jobs)
            self._order(found, 0)
            count += len(found)
        return count

    def _jobs(self, found, number, kind, scales):
        jobs = []
        for name, document in sorted(found.items()):
            if not name.startswith(kind):
                continue
            for first in range(0, len(document["labels"]), CHUNK):
                seed = zlib.crc32(repr((name, first, number, self.seed)).encode())
                out = str(self.cache / f"{name}_{first}_{number}.chunk")
                jobs.append((document["path"], document["labels"], first, *scales, seed, out))
        return jobs

    def _order(self, found, number):
        jobs = self._jobs(found, number, "train", self.scales)
        random.Random(self.seed + number).shuffle(jobs)
        self.waiting.extend([self.pool.apply_async(draw, (job,)) for job in jobs])

    def again(self):
        """Orders every training document once more, at other scales."""
        self.passes += 1
        self._order(self.documents, self.passes)

    def _fetch(self):
        """Loads finished chunks ahead of their use, in a thread: the GPU's process must not wait for a disk."""
        while True:
            done = [result for result in list(self.waiting) if result.ready()][:20] if len(self.loaded) < 40 else []
            for result in done:
                self.loaded.append(load(result.get()))
                self.waiting.remove(result)
            if not done:
                time.sleep(0.1)

    def ready(self, most=20):
        """Up to `most` chunks (`load`'s arrays)."""
        return [self.loaded.popleft() for _ in range(min(most, len(self.loaded)))]

    def test(self, kind):
        """The chunks of a test set, drawn at one scale."""
        self.tests[kind] = [load(one.get()) if hasattr(one, "get") else one for one in self.tests[kind]]
        return self.tests[kind]
