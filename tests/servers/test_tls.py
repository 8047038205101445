"""The URLs with TLS that the pages show reach the server whose name is in its certificate, and no other."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import dev
from sessionware import ConfigError, RedisStore, SQLStore, StoreUnavailable
from tests.servers.matrix import IS_WHOLE
from tests.support import database_servers as servers
from tests.support.tls import Certificate, make_certificate

#: Where the servers listen: an address that is in the certificate, and one that is not.
RIGHT, WRONG = "127.0.0.1", "127.0.0.2"

Place = tuple[str, int, str]
"""User and password, port, and the name of a database."""


def on_page(page: str, start: str) -> str:
    """The URL in the section about TLS that begins like this."""
    section = (dev.ROOT / "docs" / page).read_text(encoding="utf-8").partition("# TLS\n")[2].partition("\n#")[0]
    (url,) = re.findall(rf"^{re.escape(start)}://\S+$", section, re.MULTILINE)
    return str(url)


def in_postgres(made: Certificate, stack: ExitStack) -> Place:
    give_to(servers.Postgres, made)
    settings = {"ssl": "on", "ssl_cert_file": str(made.public), "ssl_key_file": str(made.private)}
    server = stack.enter_context(servers.Postgres(listen_addresses=f"{RIGHT}, {WRONG}", **settings))
    return f"{servers.ROLE}:{servers.PASSWORD}", server.port, server.new_database()


def in_mariadb(made: Certificate, stack: ExitStack) -> Place:
    give_to(servers.MariaDB, made)
    options = [f"--ssl-cert={made.public}", f"--ssl-key={made.private}", f"--bind-address={RIGHT},{WRONG}"]
    server = stack.enter_context(servers.MariaDB(*options))
    return f"{servers.ROLE}:{servers.PASSWORD}", server.port, server.new_database()


def in_redis(made: Certificate, stack: ExitStack) -> Place:
    port = servers.free_port()
    files = ["--tls-cert-file", str(made.public), "--tls-key-file", str(made.private)]
    options = ["--tls-port", str(port), *files, "--tls-auth-clients", "no", "--bind", RIGHT, WRONG]
    stack.enter_context(servers.Redis(*options))
    return "", port, "0"


CASES: dict[str, tuple[Any, str, Callable[[Certificate, ExitStack], Place]]] = {
    "postgresql": (SQLStore, "postgresql.md", in_postgres),
    "mariadb": (SQLStore, "mariadb.md", in_mariadb),
    "mariadb+mysqldb": (SQLStore, "mariadb.md", in_mariadb),
    "rediss": (RedisStore, "redis.md", in_redis),
}


@pytest.fixture
def certificate() -> Iterator[Certificate]:
    """In a directory that the servers' own users may enter."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield make_certificate(Path(directory))


def give_to(kind: type[servers.Server], made: Certificate) -> None:
    """PostgreSQL takes no key that others may read."""
    made.private.chmod(0o600)
    if kind.runs_as is not None and os.geteuid() == 0:
        shutil.chown(made.private, kind.runs_as)


@pytest.mark.parametrize("start", CASES if IS_WHOLE else ["rediss"])
def test_tls_checks_the_servers_name(start: str, certificate: Certificate) -> None:
    """By the URL as it stands on the page, but for the names in it."""
    kind, page, start_server = CASES[start]
    shown = on_page(page, start)
    with ExitStack() as stack:
        user, port, database = start_server(certificate, stack)

        def url(host: str) -> str:
            query = re.sub(r"/etc/ssl/[a-z-]+\.pem", str(certificate.public), shown.partition("?")[2])
            return f"{start}://{user}{'@' if user else ''}{host}:{port}/{database}?{query}"

        with closing(kind(url(RIGHT))) as store:
            assert store.scan() == []
        with (
            pytest.raises((StoreUnavailable, ConfigError), match=r"(?i)certificate|2026"),
            closing(kind(url(WRONG))) as store,
        ):
            store.scan()
