"""The journal and the folder in which a document is made: what a kill or a full disk leaves of them is of use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mineru_accel.errors import OutputError
from mineru_accel.storage import journal
from mineru_accel.storage.output_folder import check_output, publish
from mineru_accel.storage.work_folder import WorkFolder

HEADER = {"source": "/in/a.pdf", "fingerprint": {"sha256": "x"}}


def _begin(output: Path) -> WorkFolder:
    work = WorkFolder(output, "a")
    work.clear()
    work.journal.start([HEADER])
    return work


def test_lines_come_back(tmp_path: Path) -> None:
    work = _begin(tmp_path)
    work.journal.append([{"page": 0, "text": "Grüße\n"}, {"page": 1}])
    assert work.journal.read() == [HEADER, {"page": 0, "text": "Grüße\n"}, {"page": 1}]
    assert journal.read_header(work.path) == HEADER
    work.close(keep=True)


@pytest.mark.parametrize("torn", [b'{"page": 2', b'{"page": 2}', b"\0\0\0\n", b"[1]\n", b"\xff\n"])
def test_torn_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    work = _begin(tmp_path)
    work.journal.append([{"page": 1}])
    work.close(keep=True)
    with (work.path / "pages" / "journal.jsonl").open("ab") as file:
        file.write(torn)
    again = WorkFolder(tmp_path, "a")
    lines = again.journal.read()
    assert lines == [HEADER, {"page": 1}]
    again.journal.start(lines)
    again.journal.append([{"page": 3}])
    assert again.journal.read() == [HEADER, {"page": 1}, {"page": 3}]
    again.close()
    assert os.listdir(tmp_path) == []


def test_folder_is_held(tmp_path: Path) -> None:
    work = _begin(tmp_path)
    with pytest.raises(OutputError, match="made by another run"):
        WorkFolder(tmp_path, "a")
    script = (
        "import sys\nfrom pathlib import Path\nfrom mineru_accel.storage.work_folder import WorkFolder\n"
        "try: WorkFolder(Path(sys.argv[1]), 'a')\nexcept Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert "a is being made by another run" in done.stdout and done.stderr == ""
    work.close(keep=True)
    WorkFolder(tmp_path, "a").close()


def test_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.partial").mkdir()
    (tmp_path / "a.partial" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="in the way"):
        WorkFolder(tmp_path, "a")
    assert os.listdir(tmp_path / "a.partial") == ["thesis.txt"]


def test_publish_leaves_only_results(tmp_path: Path) -> None:
    work = _begin(tmp_path)
    (work.path / "a.md").write_text("text")
    (work.path / "a_report.json").write_text(json.dumps({"source": "s"}))
    publish(work.path, tmp_path, "a")
    work.close()
    assert os.listdir(tmp_path) == ["a"] and sorted(os.listdir(tmp_path / "a")) == ["a.md", "a_report.json"]
    check_output(tmp_path)
