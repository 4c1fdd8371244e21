"""Systems in turn: a fake mineru-kit in an environment of its own, and a stand-in for our own command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from common import SAMPLES

from mineru_accel.bench import run
from mineru_accel.bench.quality import bench_quality
from mineru_accel.bench.systems import bench_pipeline, completeness, peer_environments, peers
from mineru_accel.bench.systems.system import MineruAccel, convert, input_files
from mineru_accel.errors import UsageError

KIT = """#!{python}
import os, sys, time
from pathlib import Path
files, out = [Path(a) for a in sys.argv[2:sys.argv.index("-o")]], Path(sys.argv[sys.argv.index("-o") + 1])
out.mkdir(parents=True, exist_ok=True)
with open(os.environ["FAKE_LOG"], "a") as log:
    print("kit", *[f.stem for f in files], file=log)
mode = os.environ.get("FAKE_MODE", "")
for file in files:
    if file.stem == "slides" and mode == "stops":
        sys.exit("some words\\nError: can't read slides.pdf:\\nno model")
    text = file.with_suffix(".md").read_text()
    if mode == "half" and file.stem == "slides":
        text = text[:len(text) // 2]
    (out / (file.stem + ".md")).write_text(text)
"""

OURS = """
import os, sys
from pathlib import Path
with open(os.environ["FAKE_LOG"], "a") as log:
    print("ours", file=log)
for line in Path(sys.argv[1], "jobs.txt").read_text().splitlines():
    file = Path(line)
    folder = Path(sys.argv[1], "out", file.stem)
    folder.mkdir(parents=True)
    (folder / (file.stem + ".md")).write_text(file.with_suffix(".md").read_text())
    (folder / (file.stem + "_report.json")).write_text('{"page_results": [{"timings": {"layout": 0.5}}]}')
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two samples' conversions by fakes; the file tells who was called when."""
    peer = tmp_path / "peer" / "bin"
    peer.mkdir(parents=True)
    (peer / "python").write_text("#!/bin/sh\necho 9.8.7\n")
    (peer / "mineru-kit").write_text(KIT.format(python=sys.executable))
    for program in peer.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))

    def command(self: MineruAccel, files: Sequence[Path], out: Path) -> list[str]:
        (out / "jobs.txt").write_text("".join(f"{f}\n" for f in files))
        return [sys.executable, "-c", OURS, str(out)]

    monkeypatch.setattr(MineruAccel, "command", command)
    return tmp_path / "log"


FILES = [str(SAMPLES / "invoice.pdf"), str(SAMPLES / "slides.pdf")]


def bench(log: Path, name: str, *argv: str) -> tuple[int, dict]:
    target = log.with_name("report.json")
    peer = f"mineru={log.parent / 'peer' / 'bin' / 'python'}"
    code = run([name, *argv, "--against", "mineru", "--peer", peer, "--json", str(target)])
    return code, json.loads(target.read_text())


def test_in_turn_with_medians(log: Path) -> None:
    code, report = bench(log, "pipeline", *FILES, "--repeats", "3")
    assert code == 0
    calls = log.read_text().splitlines()
    assert calls == ["ours", "kit invoice slides"] + ["ours", "kit invoice slides"] * 3  # tried first, then A B A B
    ours, theirs = report["rows"]
    assert ours["case"] == "2 files, 5 pages" and ours["system"] == "mineru-accel -b pipeline"
    assert theirs["system"] == "MinerU flash tier" and report["versions"]["MinerU flash tier"] == "9.8.7"
    for row in (ours, theirs):
        assert len(row["all_seconds"]) == 3 and row["seconds"] == sorted(row["all_seconds"])[1]
        assert row["pages_per_s"] == pytest.approx(5 / row["seconds"], abs=1e-3)
        assert row["words"] == 1.0
    assert ours["stages_ms"] == {"layout": 500.0}
    assert theirs["ratio"] == pytest.approx(theirs["seconds"] / ours["seconds"], abs=1e-3)


@pytest.mark.parametrize(
    ("mode", "why"),
    [("half", "has only"), ("stops", "Error: can't read slides.pdf: no model")],
)
def test_a_file_that_one_does_badly_counts_for_nobody(
    log: Path, monkeypatch: pytest.MonkeyPatch, mode: str, why: str
) -> None:
    monkeypatch.setenv("FAKE_MODE", mode)
    code, report = bench(log, "pipeline", *FILES, "--repeats", "1")
    assert code == 0
    assert {row["case"] for row in report["rows"]} == {"invoice.pdf, 1 page"}
    assert len(report["notes"]) == 1 and "left out slides.pdf" in report["notes"][0] and why in report["notes"][0]


def test_a_system_that_converts_nothing_gives_no_figure(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MODE", "stops")
    code, report = bench(log, "pipeline", FILES[1], "--repeats", "1")
    assert code == 1
    assert [row["system"] for row in report["rows"]] == ["mineru-accel -b pipeline"]
    assert report["not_run"] == [
        {"system": "MinerU flash tier", "why": "exit code 1: Error: can't read slides.pdf: no model"}
    ]


def test_per_file(log: Path) -> None:
    _, report = bench(log, "pipeline", *FILES, "--repeats", "1", "--per-file")
    assert [row["case"] for row in report["rows"][::2]] == ["invoice.pdf, 1 page", "slides.pdf, 4 pages"]


def test_quality_of_the_same(log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE_MODE", "stops")
    folder = tmp_path / "truth"
    folder.mkdir()
    for file in SAMPLES.glob("[is][nl]*.*"):
        (folder / file.name).write_bytes(file.read_bytes())
    code, report = bench(log, "quality", str(folder), "--no-ap", "--keep", str(tmp_path / "kept"))
    assert code == 0
    whole, theirs, common, theirs_common = report["rows"]
    assert (whole["case"], common["case"]) == ("all 2", "the 1 that all convert")
    assert whole["text"] > 0.99 and whole["order"] == 0.0 and whole["teds"] == 1.0 and whole["failed"] == 0
    assert theirs["failed"] == 1 and theirs["text"] == pytest.approx(
        theirs["files"]["invoice.pdf"]["text"] / 2, abs=1e-4
    )
    assert theirs_common["text"] > 0.99 and theirs_common["failed"] == 0
    assert (tmp_path / "kept" / "MinerU flash tier" / "invoice.md").exists()


def test_a_peer_that_is_not_there_is_said(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERU_ACCEL_PEERS", str(log.parent))
    monkeypatch.setattr(peer_environments, "sys", type("S", (), {"executable": "/nowhere"}))
    report = log.with_name("r.json")
    assert run(["pipeline", FILES[0], "--against", "docling", "--repeats", "1", "--json", str(report)]) == 1
    (missing,) = json.loads(report.read_text())["not_run"]
    assert missing["system"] == "docling" and f"uv venv {log.parent}/docling" in missing["why"]


def test_python_of_a_peer_is_found_in_its_folder(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERU_ACCEL_PEERS", str(log.parent))
    os.rename(log.parent / "peer", log.parent / "mineru")
    assert peer_environments.find_peer("mineru", {}) == (log.parent / "mineru" / "bin" / "python", "9.8.7")


def test_wrong_names_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="known peers"):
        peer_environments.requested_peers("marker", [])
    with pytest.raises(UsageError, match="no such file"):
        peer_environments.given_pythons(["mineru=/nowhere/python"])
    with pytest.raises(UsageError, match="known peers"):
        peer_environments.given_pythons(["nobody=/bin/sh"])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.pdf").write_bytes(b"%PDF-")
    with pytest.raises(UsageError, match="same name"):
        input_files([tmp_path / "a" / "same.pdf", tmp_path / "b" / "same.pdf"])
    with pytest.raises(UsageError):
        bench_pipeline.run([FILES[0], "--repeats", "0"])
    with pytest.raises(UsageError, match="no ground truth"):
        bench_quality.run([str(tmp_path)])


def test_time_limit_and_missing_program(tmp_path: Path) -> None:
    class Slow(peers.Mineru):
        def command(self, files: Sequence[Path], out: Path) -> list[str]:
            return [sys.executable, "-c", "import time; time.sleep(60)"]

    done = convert(Slow(Path("python"), "1"), [Path(FILES[0])], timeout=0.5)
    assert done.error == "not finished after 0 s" and not done.texts and done.seconds < 30
    done = convert(peers.Mineru(tmp_path / "python", "1"), [Path(FILES[0])], timeout=5)
    assert done.error and "can't be started" in done.error


def test_words() -> None:
    assert completeness.word_recall("The cat, the dog", "the Dog") == 1.0
    assert completeness.word_recall("the cat", "the the cat sat") == 0.5
    assert completeness.word_recall("", "") == 1.0
    assert completeness.word_recall("![](data:image/png;base64,cat)", "cat") == 0.0
    assert completeness.word_recall("中文 测试", "中文测试") == 1.0


def test_modules_are_compiled_once_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Says(peers.Mineru):
        def command(self, files: Sequence[Path], out: Path) -> list[str]:
            return [sys.executable, "-c", "import sys; sys.exit(sys.dont_write_bytecode)"]

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert convert(Says(Path("python"), "1"), [Path(FILES[0])], timeout=20).error is None
