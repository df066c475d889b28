"""What a worker is told who cannot do something."""

from __future__ import annotations

from generation.study import UserError


class WorkRefused(UserError):
    """A worker cannot do this now; the message is shown to the worker."""
