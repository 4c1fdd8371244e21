"""Paths, folders, globs and lists of inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mineru_accel.errors import UsageError
from mineru_accel.storage.inputs import find_paths, read_list, safe_name


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_expand_folders_globs_and_repetitions(tmp_path: Path) -> None:
    a, b, c, hidden = tmp_path / "a.pdf", tmp_path / "sub/b.PNG", tmp_path / "c.txt", tmp_path / ".x/d.pdf"
    _touch(a, b, c, hidden)
    assert find_paths([tmp_path]) == [a, b]
    assert find_paths([a, tmp_path / "*.pdf", tmp_path]) == [a, b]
    assert find_paths([tmp_path / "gone.pdf"]) == [tmp_path / "gone.pdf"]
    assert find_paths([c]) == [c]  # named explicitly: its content decides


def test_expand_name_with_glob_characters(tmp_path: Path) -> None:
    odd = tmp_path / "report [final].pdf"
    _touch(odd)
    assert find_paths([odd]) == [odd]


def test_expand_refuses_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no PDF or image"):
        find_paths([tmp_path])
    with pytest.raises(UsageError, match="nothing matches"):
        find_paths([tmp_path / "*.pdf"])


def test_results_are_no_input(tmp_path: Path) -> None:
    _touch(
        tmp_path / "a.pdf",
        tmp_path / "out/a/a_report.json",
        tmp_path / "out/a/a_layout.pdf",
        tmp_path / "out/a/images/p.jpg",
    )
    assert find_paths([tmp_path]) == [tmp_path / "a.pdf"]


def test_one_file_by_two_names_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path / "a.pdf")
    monkeypatch.chdir(tmp_path)
    assert find_paths(["a.pdf", tmp_path / "a.pdf", "./x/../a.pdf"]) == [Path("a.pdf")]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [("..", "document"), ("", "document"), ("a/b", "a_b"), ("a\x00b\n", "a_b_"), ("  x. ", "x"), ("论文 1", "论文 1")],
)
def test_safe_name(stem: str, expected: str) -> None:
    assert safe_name(stem) == expected


def test_read_list(tmp_path: Path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text("\ufeffa.pdf\n\n# a comment\n  b c.pdf  \n", encoding="utf-8")
    assert read_list(path) == ["a.pdf", "b c.pdf"]
    with pytest.raises(UsageError, match="can't read"):
        read_list(tmp_path / "gone.txt")
