"""``--dry-run``: pages are counted, nothing is written."""

from __future__ import annotations

from pathlib import Path

import zoo
from common import MakePdf, run_command


def test_dry_run_counts_and_writes_nothing(tmp_path: Path, make_pdf: MakePdf) -> None:
    make_pdf("in/a.pdf", ["some text"] * 30)
    make_pdf("in/b.pdf", ["some text"] * 5)
    zoo.write(tmp_path / "in", "bad.pdf", b"")
    done = run_command(tmp_path / "in", "-o", tmp_path / "out", "--layout", "native", "--dry-run", "--pages", "1-20")
    assert done.returncode == 1 and "3 document(s), 25 page(s); 1 document(s) can't be opened; about" in done.stdout
    assert "bad.pdf: empty file" in done.stderr and not (tmp_path / "out").exists()
    place = ["--layout", "native", "--dry-run", "--cluster", "100x64"]
    done = run_command(tmp_path / "in" / "b.pdf", "-o", tmp_path / "out", *place)
    assert done.returncode == 0 and "100 node(s) of 64 CPUs: about" in done.stdout and "limited by" in done.stdout
