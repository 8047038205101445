"""Which releases of what a store depends on."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from .._hidden import Hidden
from .._urls import REDIS_SCHEMES, SQL_SCHEMES, scheme_of
from .._version import __version__
from ..errors import StoreUnavailable
from ..stores.base import Store

#: The packages that drivers are in.
_DRIVERS = {"psycopg": "psycopg", "pymysql": "PyMySQL", "mysqldb": "mysqlclient"}


def versions(url: Hidden[str], store: Store) -> dict[str, str]:
    """By name: this package, Python, the packages that the store is made with, and the server."""
    found = {"sessionware": __version__, "Python": platform.python_version()}
    for package in _packages(scheme_of(url)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    server = _server(store)
    return found if server is None else found | {"server": server}


def _packages(scheme: str) -> tuple[str, ...]:
    if scheme in REDIS_SCHEMES:
        return ("redis", "hiredis")
    if scheme in SQL_SCHEMES:
        driver = SQL_SCHEMES[scheme][1]
        return ("SQLAlchemy", *([_DRIVERS[driver]] if driver in _DRIVERS else []))
    return ()


def _server(store: Store) -> str | None:
    """What the server says of itself, if the store has one to ask, and it tells."""
    with suppress(StoreUnavailable):  # a server need not tell, and all that matters has worked by now
        return getattr(store, "server_version", None)
    return None
