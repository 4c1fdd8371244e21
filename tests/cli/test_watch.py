"""``--watch``: documents that come into a folder are converted."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

from common import COMMAND, PATIENCE, MakePdf, wait_until


def test_watch(tmp_path: Path, make_pdf: MakePdf) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    first, second = make_pdf("first.pdf", ["the first text"]), make_pdf("second.pdf", ["the second text"])
    inbox.mkdir()
    shutil.copy(first, inbox)
    process = subprocess.Popen(
        [*COMMAND, "--watch", str(inbox), "-o", str(out), "--layout", "native", "--formats", "md"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert wait_until(lambda: "first text" in _text(out / "first" / "first.md"))
        data, breaks = second.read_bytes(), [0.0]
        with (inbox / "second.pdf").open("wb") as file:  # arrives slowly
            for start in range(0, len(data), len(data) // 10 + 1):
                before = time.monotonic()
                file.write(data[start : start + len(data) // 10 + 1])
                file.flush()
                time.sleep(0.2)
                breaks.append(time.monotonic() - before)
        assert wait_until(lambda: "second text" in _text(out / "second" / "second.md"))
        shutil.copy(second, inbox / "first.pdf")
        assert wait_until(lambda: "second text" in _text(out / "first" / "first.md"))
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in err
    assert "not a PDF" not in err or max(breaks) > 1  # this machine stood still, and the file was taken for complete
    assert err.startswith("waiting for documents; ")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
