"""Mutants of the samples: no traceback, no hang, every page accounted for."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import zoo
from common import SAMPLES

from mineru_accel import Pipeline

SEEDS = sorted(SAMPLES.glob("*.pdf"))


def mutant(number: int) -> bytes:
    """One of the samples (or a small hand-made file), hurt in one of the ways that files are hurt.

    Args:
        number: the seed; files are named after it.
    """
    rng = random.Random(number)
    small = rng.random() < 0.5
    data = bytearray(zoo.one_page() if small else rng.choice(SEEDS).read_bytes())
    for _ in range(rng.choice((1, 1, 3, 30))):
        at = rng.randrange(len(data))
        length = min(rng.choice((1, 4, 64, 2000)), len(data) - at)
        match rng.randrange(7):
            case 0:  # bits
                data[at] ^= 1 << rng.randrange(8)
            case 1:  # a block of noise
                data[at : at + length] = rng.randbytes(length)
            case 2:  # a hole
                data[at : at + length] = bytes(length)
            case 3:  # cut out
                del data[at : at + length]
            case 4:  # twice
                data[at:at] = data[at : at + length]
            case 5:  # another number
                digits = [i for i in range(at, min(at + 500, len(data))) if 48 <= data[i] <= 57]
                if digits:
                    data[rng.choice(digits)] = 48 + rng.randrange(10)
            case 6:  # the end is missing
                if rng.random() < 0.2:
                    del data[max(20, at) :]
        if len(data) < 20:
            break
    return bytes(data)


def _check(numbers: range, tmp_path: Path, layout: str) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    paths = [zoo.write(folder, f"m{n:04}.pdf", mutant(n)) for n in numbers]
    options = {"layout": layout, "formats": "md,layout_pdf", "page_timeout": 30, "pages": "1-2", "worker_memory": 2048}
    with Pipeline(**options) as pipeline:  # type: ignore[arg-type]
        results = {r.path: r for r in pipeline.convert_batch(paths, out)}
    assert set(results) == set(paths)
    for path, result in results.items():
        texts = [result.error or "", *(p.error or "" for p in result.pages)]
        assert not any("\n" in t or "Traceback" in t or "internal error" in t for t in texts), (path.name, texts)
        assert result.pages or result.error, path.name
        assert result.error is not None or result.files["md"].exists()
    made = sorted(r.name for r in results.values() if r.files)
    assert sorted(os.listdir(out)) == made


def test_some_mutants(tmp_path: Path) -> None:
    _check(range(24), tmp_path, "native")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_mutants(tmp_path: Path) -> None:
    _check(range(1000), tmp_path, "native")
