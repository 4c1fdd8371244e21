"""Files in object stores, with fsspec's store in memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mineru_accel import UsageError
from mineru_accel.errors import InputError
from mineru_accel.storage import remote
from mineru_accel.storage.inputs import documents_in, find_inputs

pytest.importorskip("upath")


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    place = remote.to_path(f"memory://{tmp_path.name}")
    place.mkdir(parents=True)
    return place


def put(place: Path, data: bytes = b"x") -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


def test_what_is_a_url() -> None:
    assert remote.is_url("s3://bucket/a.pdf") and remote.is_url("memory://a")
    assert (
        not remote.is_url("a.pdf")
        and not remote.is_url("C:\\a.pdf")
        and not remote.is_url("odd://name"[2:].replace(":", ""))
    )
    assert remote.to_path("a.pdf") == Path("a.pdf")


def test_folders_and_globs(bucket: Path) -> None:
    a, b = put(bucket / "a.pdf"), put(bucket / "sub" / "b.PNG")
    put(bucket / "notes.txt")
    put(bucket / ".hidden" / "c.pdf")
    put(bucket / "old" / "old_report.json")
    put(bucket / "old" / "old_layout.pdf")
    assert [str(i.path) for i in find_inputs([str(bucket)])] == [str(a), str(b)]
    assert all(i.in_folder for i in find_inputs([str(bucket)]))
    assert [str(i.path) for i in find_inputs([f"{bucket}/*.pdf"])] == [str(a)]
    (one,) = find_inputs([str(a)])
    assert one.source == str(a) and one.stem == "a" and not one.in_folder
    assert [str(i.path) for i in find_inputs([f"{bucket}/gone.pdf"])] == [f"{bucket}/gone.pdf"]  # its own error, later
    with pytest.raises(UsageError, match="no PDF or image"):
        find_inputs([f"{bucket}/*.tiff"])
    assert documents_in  # local folders go another way


def test_url_of_no_known_kind() -> None:
    with pytest.raises(UsageError, match="nosuch"):
        find_inputs(["nosuch://bucket/a.pdf"])


def test_cache_keeps_what_was_used_last(bucket: Path, tmp_path: Path) -> None:
    cache = remote.Cache(tmp_path / "cache", max_bytes=250)
    old, new = put(bucket / "old.pdf", b"o" * 100), put(bucket / "new.pdf", b"n" * 100)
    first = cache.fetch(old)
    assert first.read_bytes() == b"o" * 100 and first.suffix == ".pdf" and cache.fetch(old) == first
    os.utime(first, (1, 1))
    second = cache.fetch(new)
    third = cache.fetch(put(bucket / "third.pdf", b"t" * 100))
    assert not first.exists() and second.exists() and third.exists()
    put(bucket / "new.pdf", b"changed")
    assert cache.fetch(new).read_bytes() == b"changed"
    with pytest.raises(InputError, match="no such file"):
        cache.fetch(bucket / "gone.pdf")
    assert cache.fetch(tmp_path / "local.pdf") == tmp_path / "local.pdf"
    assert not [p for p in (tmp_path / "cache").iterdir() if p.name.startswith(".")]


def test_upload_replaces_and_ends_with_the_report(bucket: Path, tmp_path: Path) -> None:
    put(bucket / "doc" / "images" / "gone.jpg")
    folder = tmp_path / "doc"
    (folder / "images").mkdir(parents=True)
    for name in ("doc.md", "doc_report.json", "images/1.jpg"):
        (folder / name).write_text(name)
    written: list[str] = []
    fs = bucket.fs  # type: ignore[attr-defined]
    real = fs.pipe_file

    def pipe_file(path: str, value: bytes, **kwargs: object) -> None:
        written.append(path.rsplit("/", 1)[-1] + ("" if value != b"begun" else " (begun)"))
        real(path, value, **kwargs)

    fs.pipe_file = pipe_file
    try:
        remote.upload(folder, bucket / "doc", last="doc_report.json", first=("doc_report.json", b"begun"))
    finally:
        del fs.pipe_file
    assert written[0] == "doc_report.json (begun)" and written[-1] == "doc_report.json"
    assert sorted(str(p).removeprefix(str(bucket)) for p in (bucket / "doc").rglob("*") if p.is_file()) == [
        "/doc/doc.md",
        "/doc/doc_report.json",
        "/doc/images/1.jpg",
    ]
