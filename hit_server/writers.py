"""Writers of a SQLite file wait in a queue: SQLite's own way is to look again every 100 ms.

The queue is a courtesy among our own processes. What keeps writers apart is SQLite's lock, and
who waits too long for the queue goes on to wait for that.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections import defaultdict
from typing import Any

WAIT_S = 10.0
LOOK_AGAIN_S = 0.0005
"""Only one thread of a process looks whether another process has finished."""

_of_process: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


class QueuedConnection(sqlite3.Connection):
    """A connection whose writing transactions queue before they begin."""

    def __init__(self, database: str, *args: Any, **options: Any) -> None:
        """Open the file."""
        super().__init__(database, *args, **options)
        self._name = database
        self._held: int | None = None

    def queue(self) -> None:
        """Wait for this connection's turn to write, and hold it until the transaction ends."""
        until = time.monotonic() + WAIT_S
        if self._held is not None or not _of_process[self._name].acquire(timeout=WAIT_S):
            return
        # Opened each time: a file that a forked process inherits would not lock that out.
        self._held = os.open(f"{self._name}.writers", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        while not _locked(self._held) and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)

    def commit(self) -> None:
        """Commit, and let the next one write."""
        super().commit()
        self._leave()

    def rollback(self) -> None:
        """Roll back, and let the next one write."""
        super().rollback()
        self._leave()

    def close(self) -> None:
        """Close, and let the next one write."""
        super().close()
        self._leave()

    def _leave(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None
            _of_process[self._name].release()


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
