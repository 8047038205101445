"""The command line on real servers: what it prints of them, and that the examples that people copy work there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy

from sessionware import SessionManager, open_store
from sessionware.auth.users import open_users
from tests.cli import examples
from tests.cli.kit import process, run, run_json
from tests.support import database_servers as servers
from tests.support.fixed import SECRET

SERVERS = ["postgres", "mariadb", "redis_server", "redis_cluster", "valkey"]


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """An empty place on the server of this name."""
    server = request.getfixturevalue(request.param)
    if isinstance(server, (servers.Postgres, servers.MariaDB)):
        return server.url(server.new_database())
    (server.empty if isinstance(server, servers.RedisCluster) else server.client().flushall)()
    return str(server.url)


each_server = pytest.mark.parametrize("url", SERVERS, indirect=True)
each_database = pytest.mark.parametrize("url", ["postgres", "mariadb"], indirect=True)


@pytest.fixture
def at_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text(SECRET)
    return f"--secret-file={tmp_path}/secret"


@each_server
def test_commands_on_a_server(capsys: pytest.CaptureFixture[str], url: str, secret: str, at_end: ExitStack) -> None:
    """Each does there what it does with a file."""
    manager = SessionManager(SECRET, examples.opened(at_end, open_store(url)))
    manager.login_cookie("ada")
    manager.login_cookie("ada")

    assert run_json(capsys, "check", url)["ok"] is True
    assert run_json(capsys, "stats", url, secret)["live"] == 2
    assert len(run_json(capsys, "sessions", url, "--username", "ada", secret)) == 2
    assert run_json(capsys, "revoke", url, "--username", "ada", secret) == {"ended": 2}
    assert run_json(capsys, "prune", url)["removed"] == 0
    assert run_json(capsys, "stats", url, secret)["live"] == 0


@each_server
def test_check_tells_the_release_of_the_server(capsys: pytest.CaptureFixture[str], url: str, at_end: ExitStack) -> None:
    """And of the packages on the way to it; its output shows no password."""
    examples.opened(at_end, open_store(url))
    code, out, _ = run(capsys, "check", url)

    assert code == 0
    assert re.search(r"^server +.*\d+\.\d+", out, re.MULTILINE)
    assert re.search(r"^(SQLAlchemy|redis) +\d+\.\d+", out, re.MULTILINE)
    assert servers.PASSWORD not in out


@each_database
def test_no_command_makes_a_table(capsys: pytest.CaptureFixture[str], url: str, secret: str) -> None:
    """A database that is not a site's is an error, which says how its tables are made."""
    for words in (["check", url], ["prune", url], ["stats", url, secret]):
        code, _, err = run(capsys, *words)

        assert code == 1
        assert "sessionware ddl" in err
        assert servers.PASSWORD not in err


@each_database
def test_accounts_are_found_in_the_same_database(
    capsys: pytest.CaptureFixture[str], url: str, secret: str, at_end: ExitStack
) -> None:
    """Or in the one that is named, by a variable that shows nowhere."""
    manager = SessionManager(SECRET, examples.opened(at_end, open_store(url)))
    manager.login_cookie(examples.opened(at_end, open_users(url)).add("ada", "Ada", None, {}))

    assert len(run_json(capsys, "sessions", url, "--username", "ada", "--users", secret)) == 1
    assert run_json(capsys, "revoke", url, "--username", "ADA", "--users", url, secret) == {"ended": 1}


def test_check_tells_what_a_redis_may_lose(tmp_path: Path) -> None:
    """As a process of its own, because a store warns once."""
    with servers.Redis("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        done = process("check", server.url)

    assert done.returncode == 0
    assert re.search(r"warning: .*noeviction", done.stderr)


@each_server
def test_a_server_that_is_down_is_one_line(capsys: pytest.CaptureFixture[str], url: str, secret: str) -> None:
    """And an exit code of 1, whichever command it is."""
    down = re.sub(r":\d+(?=[/,]|$)", ":1", url, count=0 if "," in url else 1)
    for words in (["check", down], ["prune", down], ["stats", down, secret], ["revoke", down, "--user-id=7", secret]):
        code, _, err = run(capsys, *words)

        assert code == 1
        assert re.fullmatch(r"sessionware: .+\n", err)
        assert servers.PASSWORD not in err


@pytest.fixture
def places(tmp_path: Path, postgres: servers.Postgres, redis_server: servers.Redis) -> Callable[[str], dict[str, str]]:
    database, new, other = (postgres.url(postgres.new_database()).replace("+psycopg", "") for _ in range(3))
    examples.make_site(tmp_path, f"sqlite:///{tmp_path}/sessions.db", f"sqlite:///{tmp_path}/app.db", database)
    examples.make_site(tmp_path, redis_server.url)
    return lambda _example: {
        "postgresql://mysite@localhost/mysite": database,
        "postgresql://mysite:secret@localhost/mysite": database,
        "postgresql://mysite@localhost/sessions": new,
        "redis://localhost:6379/0": redis_server.url,
        "psql mysite": f"psql -q -v ON_ERROR_STOP=1 {other}",
    }


def test_the_examples_work_on_servers(tmp_path: Path, places: Callable[[str], dict[str, str]]) -> None:
    """Those of `--help`, and those of the page. What `ddl` prints goes into a real client."""
    for example in [*examples.in_help(), examples.on_page()]:
        done = examples.run(example, tmp_path, places(example))

        assert done.returncode == 0, (example, done.stderr)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_check_finds_a_right_that_the_accounts_lack(
    capsys: pytest.CaptureFixture[str], url: str, at_end: ExitStack
) -> None:
    """Without it, all would be well until somebody registers."""
    examples.opened(at_end, open_store(url))
    examples.opened(at_end, open_users(url))
    assert run(capsys, "check", url, "--users")[0] == 0

    engine = sqlalchemy.create_engine(url)
    at_end.callback(engine.dispose)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("REVOKE INSERT ON sessionware_users FROM CURRENT_USER"))
    assert run(capsys, "check", url)[0] == 0
    code, _, err = run(capsys, "check", url, "--users")
    assert code == 1
    assert re.search("sessionware_users|GRANT", err)
