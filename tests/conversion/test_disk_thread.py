"""The thread for what may take long on a disk."""

from __future__ import annotations

from typing import Any

from common import PATIENCE

from mineru_accel.conversion.disk_thread import DiskThread
from mineru_accel.conversion.inbox import Inbox


def test_disk_calls_are_made_in_order_and_errors_come_back() -> None:
    inbox, seen = Inbox(), list[Any]()
    disk = DiskThread(inbox)
    disk.run(lambda: 1, lambda value, error: seen.append(value))
    disk.run(lambda: 1 / 0, lambda value, error: seen.append(type(error)))
    disk.run(lambda: 2, lambda value, error: seen.append(value))
    for _ in range(3):
        inbox.get(PATIENCE)()
    disk.close()
    assert seen == [1, ZeroDivisionError, 2]
