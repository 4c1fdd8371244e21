"""Ctrl-C and SIGTERM, once and again."""

from __future__ import annotations

import signal

import pytest

from mineru_accel.cli import interrupts


def test_impatience_does_not_disturb_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.signal(s, signal.default_int_handler) for s in (signal.SIGINT, signal.SIGTERM)]
    exits: list[int] = []
    monkeypatch.setattr(interrupts.os, "_exit", exits.append)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.handled():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                assert exits == []
                monkeypatch.setattr(interrupts, "GRACE_SECONDS", 0.0)
                signal.raise_signal(signal.SIGINT)
                assert exits == [130]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupts.handled():  # as under nohup
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
