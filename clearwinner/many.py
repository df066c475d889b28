"""The hit server in several processes, for a whole crowd at once: gunicorn, with threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from clearwinner.services import hit_application
from generation.study import read_study_file

THREADS = 8
"""Of each process: so many slow browsers may take an image at once while others are served. Two
would answer a fifth more requests a second, and four slow browsers would stop them all."""


class HitServer(BaseApplication):  # type: ignore[misc]
    """Gunicorn with our application; each process opens the database for itself."""

    def __init__(self, study: Path, *, host: str, port: int, workers: int) -> None:
        """Take what to serve and where; nothing is opened yet."""
        self.study = study
        self.options: dict[str, Any] = {
            "bind": f"{host}:{port}",
            "workers": workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": 30,
            "proc_name": "clearwinner",
        }
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn the options."""
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in each process."""
        return hit_application(read_study_file(self.study))


def serve_many(study: Path, *, host: str, port: int, workers: int) -> None:
    """Serve a study's pages from several processes until Ctrl-C or a termination signal.

    Raises:
        UserError: the study file does not hold or the database cannot be opened.
    """
    hit_application(read_study_file(study))  # errors are told here, and not by each process
    HitServer(study, host=host, port=port, workers=workers).run()
