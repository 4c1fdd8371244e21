"""The API, as programs use it and as they might misuse it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import gradio_client
import httpx
import pytest
from common import COMMAND, PATIENCE, SAMPLES, MakePdf

from mineru_accel.ui.server import Server

get = partial(httpx.get, timeout=PATIENCE)  # httpx's own 5 s, which are gradio_client's too, are for idle machines
post = partial(httpx.post, timeout=PATIENCE)


def connect(url: str, **options: Any) -> gradio_client.Client:
    return gradio_client.Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE}, **options)


@pytest.fixture
def client(server: Server) -> gradio_client.Client:
    return connect(server.url)


def test_convert_as_the_readme_has_it(client: gradio_client.Client, tmp_path: Path) -> None:
    archive, report = client.predict(
        files=[gradio_client.handle_file(str(SAMPLES / "report.pdf"))], pages="1-2", formats="md", api_name="/convert"
    )
    assert report["ok"] is True
    assert [p["page"] for p in report["documents"][0]["pages"]] == [1, 2]
    names = zipfile.ZipFile(archive).namelist()
    assert "report/report.md" in names and Path(archive).name == "report.zip"
    assert "Annual Report" in zipfile.ZipFile(archive).read("report/report.md").decode()


def test_only_convert_is_public(client: gradio_client.Client) -> None:
    endpoints = client.view_api(return_format="dict")
    assert list(endpoints["named_endpoints"]) == ["/convert"] and not endpoints["unnamed_endpoints"]
    named = [p["parameter_name"] for p in endpoints["named_endpoints"]["/convert"]["parameters"]]
    assert named == ["files", "backend", "pages", "method", "lang", "formats", "password"]


def test_errors_are_readable(client: gradio_client.Client, tmp_path: Path, make_pdf: MakePdf) -> None:
    good = make_pdf("good.pdf", ["some text"])
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"no PDF at all")
    handed = [gradio_client.handle_file(str(p)) for p in (good, bad)]
    archive, report = client.predict(files=handed, api_name="/convert")
    assert report["ok"] is False and [d["ok"] for d in report["documents"]] == [True, False]
    assert report["documents"][1]["error"].startswith("not a PDF")
    assert {name.split("/")[0] for name in zipfile.ZipFile(archive).namelist()} == {"good"}
    with pytest.raises(Exception, match="counted from 1"):
        client.predict(files=handed[:1], pages="0", api_name="/convert")
    with pytest.raises(Exception, match="this server offers auto, pipeline"):
        client.predict(files=handed[:1], backend="nonsense", api_name="/convert")


def call(server: Server, path: str) -> str:
    """What ``/convert`` says to a file named by its path on the server."""
    data = [
        [{"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.pdf"}],
        "auto",
        "",
        "auto",
        "auto",
        "md",
        "",
    ]
    base = f"{server.url}gradio_api/call/convert"
    event = post(base, json={"data": data}).json()["event_id"]
    return get(f"{base}/{event}").text


def test_nothing_of_the_server_can_be_reached(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret.pdf"
    secret.write_bytes((SAMPLES / "invoice.pdf").read_bytes())
    sessions = server.conversions.sessions.root
    own = sessions / ".lock"
    cache = Path(os.environ["GRADIO_TEMP_DIR"])
    link = cache / "link.pdf"
    link.symlink_to(secret)
    try:
        for path in (
            secret,
            "/etc/passwd",
            own,
            link,
            f"{cache}/../../etc/passwd",
            "../../../../../etc/passwd",
            "README.md",
        ):
            said = call(server, str(path))
            assert "event: error" in said, (path, said)
            assert os.getcwd() not in said and str(sessions) not in said, said
            got = get(f"{server.url}gradio_api/file={path}")
            assert got.status_code in (403, 404) or path == link, path
        for path in (
            "/etc/passwd",
            "..%2f..%2fetc%2fpasswd",
            "http://127.0.0.1:1/",
            "http:/127.0.0.1",
            "%2e%2e/etc/passwd",
        ):
            assert get(f"{server.url}gradio_api/file={path}").status_code in (403, 404)
            assert get(f"{server.url}gradio_api/proxy={path}").status_code in (403, 404)
        page = get(server.url).text + get(f"{server.url}config").text
        assert str(sessions) not in page and os.getcwd() not in page and str(SAMPLES) not in page
    finally:
        link.unlink()


def test_nasty_names_of_uploads(server: Server, client: gradio_client.Client) -> None:
    data = (SAMPLES / "invoice.pdf").read_bytes()
    for name in (
        "../../evil.pdf",
        "/abs/evil.pdf",
        "..\\evil.pdf",
        "a" * 300 + ".pdf",
        "evil\n.pdf",
        ".pdf",
        "evil.exe",
    ):
        answer = post(f"{server.url}gradio_api/upload", files={"files": (name, data)})
        assert answer.status_code == 200, name
        path = Path(answer.json()[0])
        assert path.resolve().is_relative_to(Path(os.environ["GRADIO_TEMP_DIR"]).resolve())
        said = call(server, str(path))
        if path.suffix == ".pdf":
            assert "event: complete" in said, (name, said)
            report = json.loads(said.split("event: complete\ndata: ")[1])[1]
            assert "/" not in report["documents"][0]["name"] and ".." not in report["documents"][0]["name"]
        else:
            assert "neither a PDF" in said


def test_a_client_that_leaves_costs_one_line_at_most(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port))) as connection:
            head = "Host: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999"
            part = 'Content-Disposition: form-data; name="files"; filename="a.pdf"'
            connection.sendall(f"POST /gradio_api/upload HTTP/1.1\r\n{head}\r\n\r\n--b\r\n{part}\r\n\r\nx".encode())
            time.sleep(0.1)
    assert get(server.url).status_code == 200
    assert "Traceback" not in "".join(capfd.readouterr())


def test_large_uploads_are_refused(server: Server) -> None:
    data = b"%PDF-1.7" + bytes(2 << 20)
    answer = post(f"{server.url}gradio_api/upload", files={"files": ("big.pdf", data)})
    assert answer.status_code == 413


# The command


def start(*args: object) -> tuple[subprocess.Popen[str], str]:
    command = [*COMMAND, "ui", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, process.communicate(timeout=PATIENCE)
    return process, line.split()[1]


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "Traceback" not in err, err
    return err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--server-port", "x"], "--server-port"),
        (["--auth", "nopassword"], "USER:PASSWORD"),
        (["--auth", "@/no/such/file"], "No such file"),
        (["--max-pages", "0"], "--max-pages"),
        (["--keep-minutes", "-1"], "--keep-minutes"),
        (["--output-dir", "/dev/null/x"], "can't write there"),
        (["--device", "tpu"], "--device"),
        (["paper.pdf"], "paper.pdf"),
    ],
)
def test_usage_errors(args: list[str], message: str) -> None:
    command = [*COMMAND, "ui", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode in (1, 2) and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_command_with_passwords(tmp_path: Path) -> None:
    process, url = start("--auth", "ann:secret", "--output-dir", tmp_path, "--layout", "native")
    try:
        assert post(f"{url}gradio_api/upload", files={"files": ("a.pdf", b"x")}).status_code == 401
        assert get(f"{url}config").status_code == 401
        client = connect(url, auth=("ann", "secret"))
        handed = gradio_client.handle_file(str(SAMPLES / "invoice.pdf"))
        assert client.predict(files=[handed], formats="md", api_name="/convert")[1]["ok"]
        port = url.rstrip("/").rpartition(":")[2]
        second = subprocess.run(
            [*COMMAND, "ui", "--server-port", port],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert second.returncode == 1 and port in second.stderr and "Traceback" not in second.stderr
    finally:
        stop(process)
    assert list(tmp_path.iterdir()) == []


def memory(pid: int) -> int:
    """Proportional set size in bytes of a process and all below it."""
    total, pids = 0, [pid]
    while pids:
        one = pids.pop()
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) << 10
    return total


@pytest.mark.long
def test_twenty_at_once(tmp_path: Path) -> None:
    process, url = start("--output-dir", tmp_path, "--preload")
    peak = before = memory(process.pid)
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.3):
            peak = max(peak, memory(process.pid))

    def user(number: int) -> Any:
        own = connect(url)
        handed = gradio_client.handle_file(str(SAMPLES / ("report.pdf", "paper.pdf", "slides.pdf")[number % 3]))
        return own.predict(files=[handed], formats="md,content_list", api_name="/convert")

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(user, range(20)))
    finally:
        over.set()
        watcher.join()
        stop(process)
    documents = [document for _, report in answers for document in report["documents"]]
    assert len(documents) == 20
    assert [d for d in documents if not d["ok"]] == []
    print(f"20 at once: {time.monotonic() - started:.0f} s, {before >> 20} MiB before, {peak >> 20} MiB at most")
    assert peak < 1500 << 20
    assert list(tmp_path.iterdir()) == []
