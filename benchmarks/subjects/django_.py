"""Django's sessions with each of its engines.

Django has one configuration for the whole process. So that several can be measured in turns, an engine is chosen when
its handler is made, which is when Django itself looks, and the database by a router for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from .base import PLENTY, SECRET, App, Pages, Subject, plain_pages

#: Settings for each of several databases or caches.
Config = dict[str, dict[str, Any]]

_PAGES = "benchmarks.pages"
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_WAL = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"


class Router:
    """Sends every query to the database of the subject whose turn it is."""

    alias = "default"

    def db_for_read(self, _model: Any, **_hints: Any) -> str:
        return Router.alias

    db_for_write = db_for_read


def serve(request: HttpRequest) -> HttpResponse:
    body = request.META[_PAGES][request.path_info](request)
    return HttpResponse(body, content_type="text/plain")


urlpatterns = [re_path("", serve)]


def configure(databases: Config, caches: Config, directory: Path) -> None:
    """Configure this process, which can be done once."""
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.sessions"],
        DATABASES=databases,
        DATABASE_ROUTERS=[f"{__name__}.Router"],
        CACHES=caches,
        SESSION_FILE_PATH=str(directory),
        LOGGING_CONFIG=None,
    )
    django.setup()


@cache
def _configure(directory: Path) -> None:
    """Configure it with databases in this directory."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3"}
    tuned = {"CONN_MAX_AGE": None, "OPTIONS": {"init_command": _WAL, "transaction_mode": "IMMEDIATE"}}
    databases: Config = {
        "default": {**sqlite, "NAME": directory / "default.db"},
        "tuned": {**sqlite, "NAME": directory / "tuned.db", **tuned},
    }
    locmem: dict[str, Any] = {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": PLENTY},
    }
    configure(databases, {"default": locmem}, directory)


def _make_table(alias: str) -> None:
    from django.contrib.sessions.models import Session  # exists only once Django is configured

    if Session._meta.db_table not in connections[alias].introspection.table_names():
        with connections[alias].schema_editor() as editor:
            editor.create_model(Session)
    connections[alias].close()


def _log_in(session: Any, name: str) -> None:
    session.cycle_key()
    session["user"] = name


def _handler(pages: Pages, middleware: list[str], engine: str, alias: str) -> App:
    settings.MIDDLEWARE = middleware
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    handler, table = WSGIHandler(), pages.table

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        Router.alias = alias
        environ[_PAGES] = table
        return handler(environ, start_response)  # type: ignore[no-any-return]

    return app


def builder(engine: str, alias: str = "default") -> Callable[[Path], App]:
    def build(directory: Path) -> App:
        if not settings.configured:
            _configure(directory)
        _make_table(alias)
        return _handler(Pages(attrgetter("session"), log_in=_log_in), [_SESSIONS], engine, alias)

    return build


def _bare(directory: Path) -> App:
    if not settings.configured:
        _configure(directory)
    return _handler(plain_pages(), [], "db", "default")


def _peer(name: str, store: Any, engine: str, alias: str = "default", **more: Any) -> Subject:
    return Subject(f"django-{name}", store, "peer", builder(engine, alias), bare="django-bare", **more)


SUBJECTS = [
    Subject("django-bare", "none", "bare", _bare, bare="django-bare", skips=frozenset()),
    # A cache has to be chosen, for Django's default engine is `db`; its limit on entries is raised.
    _peer("locmem", "memory", "cache"),
    _peer("file", "file", "file"),
    _peer("db", "sqlite", "db"),
    _peer("db-tuned", "sqlite", "db", "tuned", is_default=False),
    _peer("cached-db", "sqlite", "cached_db", "tuned", is_default=False),
    _peer("signed", "cookie", "signed_cookies", skips=frozenset("ML")),
]
