"""A site moves through every kind of store while people use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

import dev
from sessionware.auth import SQLiteUsers, SQLUsers
from tests.long.moving import moved
from tests.project.pages import blocks
from tests.support import database_servers as servers


def test_nobody_is_logged_out_by_a_move(
    postgres: servers.Postgres, mariadb: servers.MariaDB, redis_server: servers.Redis, tmp_path: Path
) -> None:
    """From SQLite to PostgreSQL, MariaDB, Redis and files: whoever was logged in still is, with all that was added."""
    urls = [
        f"sqlite:///{tmp_path}/sessions.db",
        postgres.url(postgres.new_database()),
        mariadb.url(mariadb.new_database()),
        redis_server.url,
        f"file://{tmp_path}/sessions",
    ]

    assert len(moved(urls, 50)) == 4


@pytest.mark.parametrize("server_name", ["postgres", "mariadb"])
def test_accounts_are_copied_as_the_page_says(server_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """All that is in them, in whatever alphabet, and all or none."""
    server: servers.Postgres | servers.MariaDB = request.getfixturevalue(server_name)
    url = server.url(server.new_database())
    page: dict[str, Any] = {}
    for block in blocks((dev.ROOT / "docs" / "moving-stores.md").read_text(encoding="utf-8")):
        exec(block.code, page)
    old = SQLiteUsers(tmp_path / "app.db")
    people = [old.add("renée", "Renée", "$argon2id$", {"town": "Orléans"}), old.add("bob", "Bob", None, {})]
    old.set_active(people[1].id, False)

    assert page["copy_accounts"](tmp_path / "app.db", url) == 2
    new = SQLUsers(url)
    assert [new.find_by_key(user.key) for user in people] == [old.get(user.id) for user in people]
    new.close()
    with pytest.raises(sqlalchemy.exc.IntegrityError) as raised:
        page["copy_accounts"](tmp_path / "app.db", url)
    assert "$argon2id$" not in str(raised.value)
