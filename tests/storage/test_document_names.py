"""Output names never collide and never leave OUT."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mineru_accel.errors import OutputError
from mineru_accel.storage.document_names import DocumentNames
from mineru_accel.storage.inputs import safe_name
from mineru_accel.storage.work_folder import WorkFolder


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_names_never_collide(tmp_path: Path) -> None:
    names = DocumentNames()
    claims = [
        names.assign(tmp_path, stem, source)[0] for stem, source in (("x", "a"), ("x", "b"), ("X", "c"), ("x_2", "d"))
    ]
    assert claims == ["x", "x_2", "X_3", "x_2_2"]
    assert names.assign(tmp_path / "elsewhere", "x", "a")[0] == "x"


def test_earlier_results_keep_their_names(tmp_path: Path) -> None:
    for name, source in (("x", "b"), ("x_2", "a")):
        _touch(tmp_path / name / f"{name}_report.json")
        (tmp_path / name / f"{name}_report.json").write_text(f'{{"source": "{source}"}}')
    names = DocumentNames()
    assert names.assign(tmp_path, "x", "a") == ("x_2", {"source": "a"})
    assert names.assign(tmp_path, "x", "b") == ("x", {"source": "b"})
    assert names.assign(tmp_path, "x", "c") == ("x_3", None)


def test_folder_of_somebody_else(tmp_path: Path) -> None:
    _touch(tmp_path / "x" / "thesis.txt")
    with pytest.raises(OutputError, match="in the way"):
        DocumentNames().assign(tmp_path, "x", "a")


def test_begun_documents_keep_their_names(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path, "x")
    work.clear()
    work.journal.start([{"source": "a"}])
    work.close(keep=True)
    names = DocumentNames()
    assert names.assign(tmp_path, "x", "b")[0] == "x_2"
    assert names.assign(tmp_path, "x", "a")[0] == "x"
    assert names.assign(tmp_path, "y.partial", "c")[0] == "y.partial_"  # no name that looks like work


@given(st.lists(st.text(max_size=300), max_size=12))
def test_names_are_unique_and_stay_inside(stems: list[str]) -> None:
    claimed = DocumentNames()
    names = [claimed.assign(Path("/nonexistent"), safe_name(s), str(i))[0] for i, s in enumerate(stems)]
    for name in names:
        assert name not in ("", ".", "..") and not set(name) & set("/\\\0") and len(name.encode()) <= 130
    assert len({name.casefold() for name in names}) == len(stems)
