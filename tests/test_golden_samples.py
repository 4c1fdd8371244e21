"""The samples come out byte for byte as they did: a change of reading shows in ``tests/golden/``, or is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_samples import GOLDEN, NAMES, WAYS, outputs


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_sample_is_as_before(name: str, way: str, tmp_path: Path) -> None:
    found = outputs(name, way, tmp_path)
    assert found
    for file, data in found.items():
        assert data.decode() == (GOLDEN / way / file).read_text(encoding="utf-8"), file
