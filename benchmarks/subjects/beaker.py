"""Beaker, with its stores in memory, in files and in SQLite through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from beaker.ext.sqla import SqlaNamespaceManager, make_cache_table
from beaker.middleware import SessionMiddleware
from sqlalchemy import Engine, MetaData, create_engine

from .base import BARE, SECRET, App, Pages, Subject, wsgi_app
from .sqlite_engine import with_wal

Options = dict[str, Any]


def _memory(_directory: Path) -> Options:
    return {"session.type": "memory"}


def _file(directory: Path) -> Options:
    return {"session.type": "file", "session.data_dir": str(directory / "data")}


def _sqla(directory: Path) -> Options:
    return sqla_options(with_wal(create_engine(f"sqlite:///{directory / 'beaker.db'}")), directory)


def sqla_options(engine: Engine, directory: Path) -> Options:
    """Sessions in this database, and their locks in files, as Beaker wants it."""
    SqlaNamespaceManager._init_dependencies()  # Beaker imports SQLAlchemy only then
    table = make_cache_table(MetaData())
    table.create(bind=engine, checkfirst=True)
    return {
        "session.type": "ext:sqla",
        "session.bind": engine,
        "session.table": table,
        "session.lock_dir": str(directory / "locks"),
    }


def _save(_request: Any, session: Any) -> None:
    session.save()


def _log_in(session: Any, name: str) -> None:
    session.regenerate_id()
    session["user"] = name


def builder(options: Callable[[Path], Options], **more: object) -> Callable[[Path], App]:
    def build(directory: Path) -> App:
        pages = Pages(itemgetter("beaker.session"), save=_save, log_in=_log_in)
        settings = {"session.validate_key": SECRET, **options(directory), **more}
        return SessionMiddleware(wsgi_app(pages), settings)  # type: ignore[no-any-return]

    return build


_STORES: list[tuple[str, Literal["memory", "file", "sqlite"], Callable[[Path], Options]]] = [
    ("beaker-memory", "memory", _memory),
    ("beaker-file", "file", _file),
    ("beaker-sqla", "sqlite", _sqla),
]

SUBJECTS = [BARE]
for _name, _store, _options in _STORES:
    without = builder(_options, **{"session.save_accessed_time": False})
    SUBJECTS.append(Subject(_name, _store, "peer", builder(_options)))
    SUBJECTS.append(Subject(f"{_name}-noatime", _store, "peer", without, is_default=False))
