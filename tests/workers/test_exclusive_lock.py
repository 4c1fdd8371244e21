"""Locks that many share or one has alone."""

from __future__ import annotations

import asyncio
import threading

from common import PATIENCE, wait_until

from mineru_accel.workers.exclusive_lock import AsyncExclusiveLock, ExclusiveLock


def test_whoever_waits_to_be_alone_gets_it() -> None:
    lock, order = ExclusiveLock(), []
    started, go = threading.Event(), threading.Event()

    def shared() -> None:
        with lock.shared():
            started.set()
            go.wait(PATIENCE)
            order.append("shared")

    def alone() -> None:
        with lock.alone():
            order.append("alone")

    threads = [threading.Thread(target=t) for t in (shared, alone)]
    threads[0].start()
    started.wait(PATIENCE)
    threads[1].start()
    assert wait_until(lambda: lock.waiting)
    assert not order
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    with lock.shared(), lock.shared():
        assert order == ["shared", "alone"]


def test_the_same_in_an_event_loop() -> None:
    order = []

    async def main() -> None:
        lock, go = AsyncExclusiveLock(), asyncio.Event()

        async def shared(name: str) -> None:
            async with lock.shared():
                await go.wait()
                order.append(name)

        async def alone() -> None:
            async with lock.alone():
                order.append("alone")

        tasks = [asyncio.create_task(shared("first"))]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(alone()))
        await asyncio.sleep(0)
        assert lock.closed and not order
        tasks.append(asyncio.create_task(shared("behind")))
        go.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        assert not lock.closed

    asyncio.run(main())
    assert order == ["first", "alone", "behind"]
