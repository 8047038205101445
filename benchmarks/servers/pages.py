"""What a session costs per request with a server behind it, ours beside the peers', on the same servers in one run.

In a process of its own, because Django can be configured only once. The scenarios and the way of measuring are those of
`micro`; a peer that cannot be imported, or does not answer rightly, is left out with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import redis

from .. import micro
from ..children import in_child
from ..scenarios import SCENARIOS, begun
from ..subjects.base import BARE, SECRET, App, Pages, Subject
from ..subjects.ours import application
from .running import Running, opened

#: Read, write, new session, login.
LETTERS = "CDEL"
_SKIPS = frozenset(SCENARIOS) - frozenset(LETTERS)

#: SQLAlchemy's own name of the dialect, for the peers; ours understands the shorter ones too.
_STORES: dict[str, Any] = {"PostgreSQL": "postgresql", "MariaDB": "mariadb", "Redis": "redis"}


class Addresses(NamedTuple):
    """Where a process of its own finds the servers."""

    urls: dict[str, str]
    """By the subject's store: an empty database, or a Redis."""


def measure(running: Running, plan: micro.Plan) -> dict[str, Any]:
    """The rows, and the peers that are missing among them. Commits wait for the disk, as servers come."""
    urls = {}
    for name, store in _STORES.items():
        if server := running.servers.get(name):
            urls[store] = server.url if store == "redis" else server.url(server.new_database())
    return in_child(_measure, Addresses(urls), plan)  # type: ignore[no-any-return]


def _measure(addresses: Addresses, plan: micro.Plan) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        found, left_out = working(subjects(addresses), Path(directory))
        return {"rows": micro.measure(found, plan, Path(directory)), "left_out": left_out}


# ---- the subjects --------------------------------------------------------------------------------------------------


class Offer(NamedTuple):
    """Subjects that may not be there: a peer, and how to get at what is measured."""

    name: str
    subjects: Callable[[], Iterable[Subject]]


def subjects(at: Addresses) -> list[Offer]:
    """What there is to measure on these servers."""
    offers = [Offer("sessionware", lambda: [BARE, *(_ours(store, url) for store, url in at.urls.items())])]
    for store, url in at.urls.items():
        if store == "redis":
            offers += [
                Offer("Flask-Session, Redis", partial(_flask_redis, url)),
                Offer("Beaker, ext:redis", partial(_beaker_redis, url)),
                Offer("pyramid_session_redis", partial(_pyramid_redis, url)),
            ]
        else:
            offers += [
                Offer(f"Flask-Session, SQLAlchemy on {store}", partial(_flask_sqla, store, url)),
                Offer(f"Beaker, ext:sqla on {store}", partial(_beaker_sqla, store, url)),
            ]
    return [*offers, Offer("Django", partial(_django, at.urls))]


def working(offers: Iterable[Offer], directory: Path) -> tuple[list[Subject], list[dict[str, str]]]:
    """Those that answer one page, and why the others do not."""
    found: dict[str, Subject] = {}
    left_out = []
    for number, (name, get) in enumerate(offers):
        try:
            for subject in get():
                scratch = directory / f"try-{number}-{subject.name}"
                scratch.mkdir()
                begun(subject.build(scratch))
                found[subject.name] = replace(subject, skips=_SKIPS)
        except Exception as error:  # whatever a peer may raise that does not know today's releases
            if name == "sessionware":
                raise
            left_out.append({"peer": name, "why": f"{type(error).__name__}: {error}".partition("\n")[0]})
    return list(found.values()), left_out


def _ours(store: Any, url: str) -> Subject:
    return Subject(f"sessionware-{store}", store, "ours", lambda _directory: application(opened(url)))


def _flask_redis(url: str) -> Iterable[Subject]:
    from ..subjects import flask_session

    def set_up(app: Any, _directory: Path) -> None:
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis.from_url(url))

    return _flask(flask_session, "redis", "flask-session-redis", set_up)


def _flask_sqla(store: Any, url: str) -> Iterable[Subject]:
    from flask_sqlalchemy import SQLAlchemy

    from ..subjects import flask_session

    def set_up(app: Any, _directory: Path) -> None:
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=SQLAlchemy(app))

    return _flask(flask_session, store, f"flask-session-sqla-{store}", set_up)


def _flask(module: Any, store: Any, name: str, set_up: Any) -> Iterable[Subject]:
    bare = next(subject for subject in module.SUBJECTS if subject.kind == "bare")
    with_refresh, without = (module.with_sessions(set_up, refresh=refresh) for refresh in (True, False))
    yield bare
    yield Subject(name, store, "peer", with_refresh, bare=bare.name)
    yield Subject(f"{name}-norefresh", store, "peer", without, bare=bare.name, is_default=False)


def _beaker_redis(url: str) -> Iterable[Subject]:
    return _beaker("beaker-redis", "redis", lambda _directory: {"session.type": "ext:redis", "session.url": url})


def _beaker_sqla(store: Any, url: str) -> Iterable[Subject]:
    from sqlalchemy import create_engine

    from ..subjects.beaker import sqla_options

    engine = create_engine(url)
    return _beaker(f"beaker-sqla-{store}", store, lambda directory: sqla_options(engine, directory))


def _beaker(name: str, store: Any, options: Callable[[Path], dict[str, Any]]) -> Iterable[Subject]:
    from ..subjects.beaker import builder

    noatime = {"session.save_accessed_time": False}
    yield Subject(name, store, "peer", builder(options))
    yield Subject(f"{name}-noatime", store, "peer", builder(options, **noatime), is_default=False)


def _pyramid_redis(url: str) -> Iterable[Subject]:
    from pyramid_session_redis import RedisSessionFactory

    from ..subjects import pyramid_

    def log_in(session: Any, name: str) -> None:
        """It has no call that changes the id and keeps the data."""
        kept = dict(session.items())
        session.invalidate()
        session.update(kept)
        session["user"] = name

    def build(_directory: Path, **options: Any) -> App:
        pages = Pages(lambda request: request.session, log_in=log_in)
        factory = RedisSessionFactory(secret=SECRET, redis_url=url, **options)
        return pyramid_.application(pages, session_factory=factory)

    tuned: dict[str, Any] = {"timeout_trigger": 600}  # by its own documentation: does not write each time it reads
    yield next(subject for subject in pyramid_.SUBJECTS if subject.kind == "bare")
    yield Subject("pyramid-session-redis", "redis", "peer", build, bare="pyramid-bare")
    yield Subject(
        "pyramid-session-redis-trigger", "redis", "peer", partial(build, **tuned), bare="pyramid-bare", is_default=False
    )


def _django(urls: dict[str, str]) -> Iterable[Subject]:
    """Its databases with a connection for each request, which is the default, and with lasting ones."""
    from ..subjects import django_

    databases: dict[str, dict[str, Any]] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    for name, driver in {"postgresql": "psycopg", "mariadb": "MySQLdb"}.items():
        if name in urls and find_spec(driver):
            databases[name] = _django_database(urls[name])
            databases[f"{name}-tuned"] = {**databases[name], "CONN_MAX_AGE": None}
    caches = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    if "redis" in urls:
        caches["default"] = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": urls["redis"]}
    django_.configure(databases, caches, Path())
    yield next(subject for subject in django_.SUBJECTS if subject.kind == "bare")
    peer: Any = partial(Subject, kind="peer", bare="django-bare")
    for alias in list(databases)[1:]:
        store = alias.partition("-")[0]
        build = django_.builder("db", alias)
        yield peer(f"django-db-{alias}", store, build=build, is_default=alias == store)
        if alias != store and "redis" in urls:
            cached = django_.builder("cached_db", alias)
            yield peer(f"django-cached-db-{store}-redis", store, build=cached, is_default=False)
    if "redis" in urls:
        yield peer("django-cache-redis", "redis", build=django_.builder("cache", "default"))


def _django_database(url: str) -> dict[str, Any]:
    from sqlalchemy.engine import make_url

    at = make_url(url)
    engine = "postgresql" if at.get_backend_name() == "postgresql" else "mysql"
    where = {"HOST": at.host, "PORT": at.port, "USER": at.username, "PASSWORD": at.password, "NAME": at.database}
    return {"ENGINE": f"django.db.backends.{engine}", **where}
