"""Where a study's votes lie."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from analysis.votes import VotesError
from hit_server.database import open_database
from hit_server.settings import Settings


def study_database(place: Path) -> Engine:
    """Open the database of a study that lies in a folder, or the one that the settings name.

    Raises:
        UserError: there is none.
    """
    url = Settings().database_url or f"sqlite:///{place / 'study.sqlite3'}"
    try:
        parsed = make_url(url)
    except ArgumentError:
        return open_database(url)  # says what is wrong with it
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise VotesError(
            f"no database at {parsed.database}: the study has no votes yet. Run `clearwinner "
            "launch` and `clearwinner collect`, or set CLEARWINNER_DATABASE_URL."
        )
    return open_database(url)
