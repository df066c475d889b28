"""A rate that requests must keep, to rehearse what a busy service does."""

from __future__ import annotations

import threading
import time

from mturk.marketplace.errors import Throttled


class Throttle:
    """A token bucket for each account: so many requests a second, and as many at once.

    One process holds it; several processes on one database each have their own.
    """

    def __init__(self, rate: float | None = None, burst: int | None = None) -> None:
        """Take requests a second (none: no limit), and how many may come at once."""
        self._rate, self._burst = rate, float(burst or max(1.0, rate or 1.0))
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, account: str) -> None:
        """Let a request pass.

        Raises:
            Throttled: it comes too soon.
        """
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            tokens, last = self._buckets.get(account, (self._burst, now))
            tokens = min(self._burst, tokens + (now - last) * self._rate)
            self._buckets[account] = (tokens - 1 if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise Throttled("Rate exceeded")
