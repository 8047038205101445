"""SQLite as the peers that use SQLAlchemy get it: a log that is written ahead, as whoever cares for speed sets it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event


def with_wal(engine: Engine) -> Engine:
    """The engine, each of whose connections writes ahead and syncs at checkpoints only."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine
