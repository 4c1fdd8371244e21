"""The command as a user meets it: help, exit codes, output streams, Ctrl-C."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pypdfium2 as pdfium
import pytest
import zoo
from common import COMMAND, PATIENCE, SAMPLES, MakePdf, run_command, slowness, wait_until
from PIL import Image


def _cpu_of(command: list[str]) -> tuple[float, str]:
    """CPU seconds that a command takes at least, as `cpu_seconds` has them, and what it prints."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / slowness())
    return min(times), done.stdout


def test_help_is_instant_and_grouped() -> None:
    seconds, said = _cpu_of([*COMMAND, "--help"])
    assert seconds < 0.5
    for text in ("input and output:", "pages:", "how to convert:", "--pages RANGE", "exit codes: 0"):
        assert text in said


@pytest.mark.parametrize(
    ("statement", "limit"), [("import mineru_accel", 0.3), ("from mineru_accel import Pipeline, convert", 0.5)]
)
def test_import_is_light(statement: str, limit: float) -> None:
    heavy = "{'torch', 'onnxruntime', 'docvortex', 'mineru', 'cv2', 'pypdfium2', 'numpy'}"
    nothing, _ = _cpu_of([sys.executable, "-c", "pass"])
    seconds, found = _cpu_of([sys.executable, "-c", f"import sys; {statement}; print(*{heavy} & set(sys.modules))"])
    assert found.split() == []
    assert seconds - nothing < limit


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "name at least one"),
        (["a.pdf", "--pages", "0"], "counted from 1"),
        (["a.pdf", "--formats", "pptx"], "--formats"),
        (["a.pdf", "-b", "magic"], "--backend"),
        (["a.pdf", "--device", "tpu"], "--device"),
        (["a.pdf", "--layout", "vlm"], "-b vlm"),
        (["a.pdf", "--colour"], "--colour"),
        (["a.pdf", "-s", "x"], "-s"),
        (["a.pdf", "--pages", "1", "-e", "3"], "either pages or start/end"),
        (["/no/such/*.pdf"], "nothing matches"),
        (["--jobs-from", "/no/such/list"], "can't read the list"),
        (["models"], "action"),
        (["a.pdf", "-o", "/dev/null"], "is no folder"),
        (["a.pdf", "--page-timeout", "inf"], "--page-timeout"),
        (["a.pdf", "-b", "vlm", "-u", "nowhere"], "--url: "),
    ],
)
def test_usage_errors(args: list[str], message: str, tmp_path: Path) -> None:
    done = run_command(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_missing_weights_are_one_line(tmp_path: Path) -> None:
    done = run_command("a.pdf", "--layout-weights", tmp_path / "gone.pt")
    assert done.returncode == 1 and "gone.pt" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_success_and_json_progress(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["first page of text", "second page of text"])
    done = run_command("convert", path, "-o", tmp_path / "out", "--layout", "native", "--progress", "json")
    assert done.returncode == 0 and done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event"] for e in events].count("page_done") == 2
    assert events[0]["event"] == "run_started" and events[-1]["event"] == "run_done"
    assert next(e for e in events if e["event"] == "document_done")["ok"] is True


def test_mixed_run_exits_with_one(tmp_path: Path, make_pdf: MakePdf) -> None:
    good, bad = make_pdf("good.pdf", ["a page of text"]), zoo.write(tmp_path, "bad.pdf", b"")
    done = run_command(good, bad, "-o", tmp_path / "out", "--layout", "native")
    assert done.returncode == 1
    assert f"{bad}: empty file" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "out" / "good" / "good.md").exists()
    quiet = run_command(good, bad, "-o", tmp_path / "out2", "--layout", "native", "-q")
    assert quiet.returncode == 1 and quiet.stderr.strip() == f"mineru-accel: {bad}: empty file" and quiet.stdout == ""


def test_failed_page_exits_with_one(tmp_path: Path) -> None:
    done = run_command(zoo.write(tmp_path, "d.pdf", zoo.damaged_page()), "-o", tmp_path / "out", "--layout", "native")
    assert done.returncode == 1 and "1 failed (page 2)" in done.stderr


def test_paths_from_mineru_flags_and_lists(tmp_path: Path, make_pdf: MakePdf) -> None:
    a, b = make_pdf("a.pdf", ["the text of a"]), make_pdf("b.pdf", ["the text of b"])
    (tmp_path / "list").write_text(f"# mine\n{b}\n")
    done = run_command("-p", a, "--jobs-from", tmp_path / "list", "-o", tmp_path / "out", "-m", "txt", "-b", "pipeline")
    assert done.returncode == 0 and sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b"]


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(tmp_path: Path, sig: signal.Signals) -> None:
    scan, many = pdfium.PdfDocument(SAMPLES / "scan.pdf"), pdfium.PdfDocument.new()
    for _ in range(40):  # a minute's work and more
        many.import_pages(scan)
    many.save(tmp_path / "scans.pdf")
    process = subprocess.Popen(
        [*COMMAND, str(tmp_path / "scans.pdf"), "-o", str(tmp_path / "out"), "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's '&' ignores it
    )
    assert process.stdout is not None
    assert any('"page_done"' in line for line in process.stdout)
    process.send_signal(sig)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "mineru-accel: interrupted" and "Traceback" not in err
    assert not list((tmp_path / "out").glob(".mineru-accel*"))
    assert wait_until(lambda: not _group_alive(process.pid))


def _group_alive(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[2] == str(group) and fields[0] != "Z":
            return True
    return False


def test_nothing_reaches_the_network(tmp_path: Path, make_pdf: MakePdf) -> None:
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(
        "import socket\n"
        "real = socket.socket.connect\n"
        "def connect(self, address):\n"
        "    if self.family != socket.AF_UNIX:\n"
        "        open(__import__('os').environ['TELL'], 'a').write(repr(address) + '\\n')\n"
        "        raise OSError('no network in this test')\n"
        "    return real(self, address)\n"
        "socket.socket.connect = connect\n"
        "socket.getaddrinfo = lambda *a, **k: connect(socket.socket(), a)\n"
    )
    home, tell = tmp_path / "home", tmp_path / "tell"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("MINERU_MODEL_SOURCE", "HF_HUB_OFFLINE")}
    env |= {"PYTHONPATH": str(tmp_path / "guard"), "HOME": str(home), "TELL": str(tell)}
    Image.new("L", (300, 200), "white").save(tmp_path / "scan.png")
    done = run_command(make_pdf("a.pdf", ["some text to read"]), tmp_path / "scan.png", "-o", tmp_path / "out", env=env)
    assert done.returncode == 0, done.stderr
    assert not tell.exists(), tell.read_text()
    assert list(home.rglob("*")) == []  # and writes nothing into the home either


def test_reader_that_leaves(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["some text"] * 3)
    command = " ".join([*COMMAND, str(path), "-o", str(tmp_path / "out"), "--layout native --progress json | head -1"])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE)
    assert len(done.stdout.splitlines()) == 1 and done.stderr == ""


def test_doctor_and_models() -> None:
    doctor = run_command("doctor")
    assert doctor.returncode == 0 and "auto picks" in doctor.stdout and len(doctor.stdout.splitlines()) < 35
    assert "auto picks" in json.loads(run_command("doctor", "--json").stdout)
    listed = run_command("models", "list")
    assert listed.returncode == 0 and "in use:" in listed.stdout
