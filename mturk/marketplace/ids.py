"""Ids as the service made them: capitals and digits, and not to be guessed."""

from __future__ import annotations

import secrets
import string

_LETTERS = string.ascii_uppercase + string.digits


def new_id(prefix: str, length: int = 30) -> str:
    """A random id that begins with a prefix."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length - len(prefix)))
