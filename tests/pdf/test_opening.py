"""Documents kept open: reopened now and then, never under a page in use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from common import SAMPLES

from mineru_accel.options import Method
from mineru_accel.pdf import opening
from mineru_accel.pdf.jobs import read
from mineru_accel.pdf.types import Key


@pytest.fixture(autouse=True)
def closed() -> None:
    opening.close_documents()


@pytest.mark.parametrize("uses", [1, 2, 3])
def test_document_is_not_reopened_under_a_page_in_use(monkeypatch: pytest.MonkeyPatch, uses: int) -> None:
    monkeypatch.setattr(opening, "MAX_USES", uses)
    key = Key(str(SAMPLES / "report.pdf"), None)
    with opening.open_page(key, 0) as page:
        for _ in range(4):
            opening.open_document(key)
        assert page.get_size()[0] > 0
    assert opening.in_use == []
    for _ in range(4):
        read(key, 0, Method.AUTO, dpi=100, layout_side=None, slot=0, slot_bytes=0)


def test_document_in_use_stays_when_others_are_opened(tmp_path: Path) -> None:
    keys = [Key(str(shutil.copy(SAMPLES / "report.pdf", tmp_path / f"{name}.pdf")), None) for name in "abcd"]
    with opening.open_page(keys[0], 0) as page:
        for key in keys[1:]:
            opening.open_document(key)
        assert page.get_size()[0] > 0
