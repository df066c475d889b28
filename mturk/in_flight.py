"""Several requests at once, settled one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

WIDTH = int(os.environ.get("CLEARWINNER_IN_FLIGHT", "8"))
"""Requests in flight: more only queue at the service's own rate."""


def in_flight(
    items: Iterable[Item],
    ask: Callable[[Item], Answer],
    settle: Callable[[Item, Answer], None],
    *,
    width: int = WIDTH,
) -> None:
    """Ask for each item in a few threads, and settle each answer in this one.

    Items are drawn, and so written down, as there is room. After a failure no new request is
    made; answers of those on the way are settled before the failure is raised, so that what the
    crowd did is known. Ctrl-C does the same.
    """
    waiting: dict[Future[Answer], Item] = {}
    with ThreadPoolExecutor(width) as pool:
        try:
            for item in items:
                waiting[pool.submit(ask, item)] = item
                if len(waiting) >= width:
                    _settle_some(waiting, settle)
            while waiting:
                _settle_some(waiting, settle)
        except BaseException:
            for future, item in list(waiting.items()):
                future.cancel()
                if not future.cancelled() and future.exception() is None:
                    settle(item, future.result())
            raise


def _settle_some(
    waiting: dict[Future[Answer], Item], settle: Callable[[Item, Answer], None]
) -> None:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    # What succeeded is settled before a failure among them is raised.
    for future in sorted(done, key=lambda each: each.exception() is not None):
        item = waiting.pop(future)
        settle(item, future.result())
