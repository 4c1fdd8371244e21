"""The documentation builds without a warning, and names no command or file that isn't there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from common import ROOT

from mineru_accel.bench import BENCHMARKS
from mineru_accel.cli.arguments import convert_parser

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_builds_offline_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img)[^>]*\bsrc="(https?:[^"]+)|<link[^>]*\bhref="(https?:[^"]+)', page.read_text()
        )
        assert not loaded, f"{page.name} loads {loaded}"
    assert "convert_batch_async" in (tmp_path / "api" / "index.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_benchmarks_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"mineru-accel bench ([a-z]+)", page.read_text(encoding="utf-8")))
    assert named <= set(BENCHMARKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_linked_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_flags_in_the_readme_exist() -> None:
    known = set(re.findall(r"(?<!\S)--[a-z-]+", convert_parser().format_help()))
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if re.match(r"mineru-accel (?!bench|tune|models|doctor|ui)\S", line):
            flags = set(re.findall(r"(?<=\s)--[a-z-]+", line.split("#")[0]))
            assert flags <= known, line
