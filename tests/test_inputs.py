"""Paths, folders, globs and lists; output names that never collide and never leave OUT."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mineru_accel.errors import UsageError
from mineru_accel.inputs import assign_names, expand, read_list, safe_name


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_expand_folders_globs_and_repetitions(tmp_path: Path) -> None:
    a, b, c, hidden = tmp_path / "a.pdf", tmp_path / "sub/b.PNG", tmp_path / "c.txt", tmp_path / ".x/d.pdf"
    _touch(a, b, c, hidden)
    assert expand([tmp_path]) == [a, b]
    assert expand([a, tmp_path / "*.pdf", tmp_path]) == [a, b]
    assert expand([tmp_path / "gone.pdf"]) == [tmp_path / "gone.pdf"]
    assert expand([c]) == [c]  # named explicitly: its content decides


def test_expand_name_with_glob_characters(tmp_path: Path) -> None:
    odd = tmp_path / "report [final].pdf"
    _touch(odd)
    assert expand([odd]) == [odd]


def test_expand_refuses_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no PDF or image"):
        expand([tmp_path])
    with pytest.raises(UsageError, match="nothing matches"):
        expand([tmp_path / "*.pdf"])


def test_names_never_collide() -> None:
    names = [i.name for i in assign_names([Path("a/x.pdf"), Path("b/x.pdf"), Path("c/X.png"), Path("x_2.pdf")])]
    assert names == ["x", "x_2", "X_3", "x_2_2"]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [("..", "document"), ("", "document"), ("a/b", "a_b"), ("a\x00b\n", "a_b_"), ("  x. ", "x"), ("论文 1", "论文 1")],
)
def test_safe_name(stem: str, expected: str) -> None:
    assert safe_name(stem) == expected


@given(st.lists(st.text(max_size=300), max_size=12))
def test_names_are_unique_and_stay_inside(stems: list[str]) -> None:
    names = [safe_name(stem) for stem in stems]
    for name in names:
        assert name not in ("", ".", "..") and not set(name) & set("/\\\0") and len(name.encode()) <= 120
    inputs = assign_names(Path("d") / (name + ".pdf") for name in names)
    assert len({i.name.casefold() for i in inputs}) == len(inputs)


def test_read_list(tmp_path: Path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text("\ufeffa.pdf\n\n# a comment\n  b c.pdf  \n", encoding="utf-8")
    assert read_list(path) == ["a.pdf", "b c.pdf"]
    with pytest.raises(UsageError, match="can't read"):
        read_list(tmp_path / "gone.txt")
