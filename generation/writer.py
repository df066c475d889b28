"""Storing beside drawing: one batch is encoded and stored while the next one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from generation.manifest import ManifestRow

Batch = Sequence[tuple[ManifestRow, bytes]]


class Writer:
    """Stores in a thread of its own, one batch at a time, at most one waiting.

    Leaving the context waits for what was handed over, also on an error and on Ctrl-C: what was
    drawn is stored.
    """

    def __init__(self, save: Callable[[Batch], None]) -> None:
        self._save = save
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def put(self, encode: Callable[[], Batch]) -> None:
        """Hand over a batch to encode and store; raises what storing the one before raised."""
        self._finish()
        self._pending = self._pool.submit(lambda: self._save(encode()))

    def _finish(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._finish()
        finally:
            self._pool.shutdown()
