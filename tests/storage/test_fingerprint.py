"""What a result was made from, and what has changed since."""

from __future__ import annotations

from mineru_accel.storage.fingerprint import difference, fingerprint


def test_what_has_changed() -> None:
    was = fingerprint("abc", {"dpi": 200}, "1.0")
    assert difference(was, fingerprint("abc", {"dpi": 200}, "1.0")) is None
    assert "file" in str(difference(was, fingerprint("abd", {"dpi": 200}, "1.0")))
    assert "options" in str(difference(was, fingerprint("abc", {"dpi": 300}, "1.0")))
    assert "version 1.0" in str(difference(was, fingerprint("abc", {"dpi": 200}, "1.1")))
    assert difference(None, was) and difference("junk", was)
