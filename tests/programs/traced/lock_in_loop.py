"""An event loop takes a lock that a thread of its pool holds; the other threads of the pool are idle."""

import asyncio
import concurrent.futures
import threading
import time

pool = concurrent.futures.ThreadPoolExecutor(4)
lock = threading.Lock()


def hold(seconds: float) -> None:
    with lock:
        time.sleep(seconds)


async def handler() -> None:
    asyncio.get_running_loop().run_in_executor(pool, hold, 0.2)
    await asyncio.sleep(0.05)
    with lock:  # the mistake: the event loop waits for a thread
        pass


async def main() -> None:
    for _ in range(4):  # the pool creates its threads
        asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.01)
    await asyncio.sleep(0.1)
    await handler()
    await asyncio.sleep(0.05)


asyncio.run(main())
