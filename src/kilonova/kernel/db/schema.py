"""Schema migrations: one Alembic environment for every service, migrations in its own ``store/migrations``.

A migration is a file ``versions/NNNN_words.py`` with ``revision`` and ``down_revision`` as numbers ("0001") and an
``upgrade()`` that may assume nothing but the revision before it. Starting with an up-to-date schema reads one row and
does not import Alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError


def head(migrations: Path) -> str:
    """The newest revision in a migrations folder: the number its file name begins with."""
    names = sorted(p.name for p in (migrations / "versions").glob("[0-9]*.py"))
    if not names:
        raise ValueError(f"no migrations in {migrations}")
    return names[-1].split("_", 1)[0]


def upgrade(url: str, migrations: Path) -> str | None:
    """Bring the database at ``url`` to the newest revision. Returns the revision it had before, None if empty.

    Blocking: call it before the event loop serves, or in a thread.
    """
    engine = create_engine(_blocking(url))
    try:
        with engine.connect() as connection:
            found = _read_revision(connection)
        if found == head(migrations):
            return found
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "alembic_environment"))
        config.set_main_option("version_locations", str(migrations / "versions"))
        config.set_main_option("path_separator", "os")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return found
    finally:
        engine.dispose()


def _read_revision(connection: object) -> str | None:
    try:
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()  # type: ignore[attr-defined]
    except DatabaseError:
        return None
    return None if row is None else str(row[0])


def _blocking(url: str) -> str:
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}.get(backend, backend)
    return parsed.set(drivername=driver).render_as_string(hide_password=False)


def revision(url: str) -> str | None:
    """The revision a database is at; None when it has no schema, or cannot be opened. Changes nothing. Blocking."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        return None
    engine = create_engine(_blocking(url))
    try:
        with engine.connect() as connection:
            return _read_revision(connection)
    except DatabaseError:
        return None
    finally:
        engine.dispose()
