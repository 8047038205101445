"""docs/migrations.md: Alembic and Django make the tables, a role with few rights uses them, and so does an ORM.

And those who had accounts before, as docs/moving-stores.md copies them, stay logged in.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from webtest import TestApp

import dev
from sessionware import ConfigError, SQLStore
from sessionware.auth import SQLiteUsers, SQLUsers
from tests.project.pages import blocks
from tests.servers.places import KINDS, Place, new_place
from tests.support.auth_kit import PASSWORD, AuthSite

PAGE = (dev.ROOT / "docs" / "migrations.md").read_text(encoding="utf-8")
MOVING = (dev.ROOT / "docs" / "moving-stores.md").read_text(encoding="utf-8")
CODE = [block.code for block in blocks(PAGE)]
(REVISION,) = [code for code in CODE if "def upgrade" in code]
(HOOK,) = [code for code in CODE if "def include_name" in code]
(DJANGO,) = [code for code in CODE if "class Migration" in code]
(SHOP,) = [code for code in CODE if "class Order" in code]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with new_place(request.param, request, tmp_path) as place:
        yield place


def run(code: str, namespace: dict[str, Any]) -> None:
    """As a module of a reader's, which does not have what this one imports from __future__."""
    exec(compile(code, "page", "exec", dont_inherit=True), namespace)


def ddl(kind: str) -> list[str]:
    return [*SQLStore.ddl(kind), *SQLUsers.ddl(kind)]


def revision_for(kind: str) -> str:
    """The page's, with the statements for another database."""
    before, _, rest = REVISION.partition("STATEMENTS = [")
    _, _, after = rest.partition("\n]\n")
    return f"{before}STATEMENTS = {ddl(kind)!r}\n{after}"


def test_the_page_shows_what_the_release_makes() -> None:
    """A copy of old statements would make tables that the application refuses."""
    written: dict[str, Any] = {}
    run(REVISION, written)

    assert [dedent(statement).strip() for statement in written["STATEMENTS"]] == ddl("postgresql")


class Alembic:
    """A project of Alembic's, made as `alembic init` makes it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.run("init", "migrations")
        self._edit("alembic.ini", "sqlalchemy.url = driver://user:pass@localhost/dbname", f"sqlalchemy.url = {url}")
        models = "import sys; sys.path.insert(0, '.'); from shop_models import Base\ntarget_metadata = Base.metadata"
        self._edit("migrations/env.py", "target_metadata = None", models)
        (folder / "shop_models.py").write_text(
            dedent(
                """
                from sqlalchemy import String
                from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

                class Base(DeclarativeBase):
                    pass

                class Order(Base):
                    __tablename__ = "orders"
                    id: Mapped[int] = mapped_column(primary_key=True)
                    customer: Mapped[str] = mapped_column(String(64), index=True)
                """
            )
        )

    def leave_ours_alone(self) -> None:
        """As the page says."""
        self._edit("migrations/env.py", "\ndef run_migrations_offline", f"\n{HOOK}\n\ndef run_migrations_offline")
        hand_over = "target_metadata=target_metadata, include_name=include_name"
        self._edit("migrations/env.py", "target_metadata=target_metadata", hand_over)

    def run(self, *words: str, fails: bool = False) -> str:
        """What the command says."""
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words], cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def _edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


def test_alembic_makes_the_tables_leaves_them_alone_and_takes_them_away(place: Place, tmp_path: Path) -> None:
    """Beside the application's own, which it finds by itself."""
    project = Alembic(tmp_path, place.url)
    Path(tmp_path, "migrations", "versions", "0001_sessions.py").write_text(revision_for(place.kind))
    project.run("upgrade", "head")
    assert "sessionware_users" in project.run("check", fails=True), "the hook is not needed any more"
    project.leave_ours_alone()

    project.run("revision", "--autogenerate", "-m", "orders", "--rev-id", "0002")
    project.run("upgrade", "head")
    project.run("check")
    assert_works(place.store(create_table=False), place.users(create_table=False))

    (orders,) = Path(tmp_path, "migrations", "versions").glob("0002*.py")
    assert "create_table('orders'" in orders.read_text()
    assert "sessionware" not in orders.read_text()

    project.run("downgrade", "base")
    for opened in (place.store, place.users):
        with pytest.raises(ConfigError, match="python -m sessionware ddl"):
            opened(create_table=False)


def assert_works(store: SQLStore, users: SQLUsers) -> None:
    """Somebody registers, changes the session, and logs out."""
    site = AuthSite(users, store=store)
    browser = site.browser()
    browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD))
    assert browser.who() == "Ada"
    browser.do(site.auth.logout)
    assert browser.who() is None
    assert users.delete(site.users.find_by_key("ada").id) is True


DJANGO_SITE = """
import sys
from django.conf import settings
import django
from django.core.management import call_command

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "app.db"}},
    INSTALLED_APPS=["shop"],
)
django.setup()
for command in (["makemigrations", "--check"], ["migrate"]):
    call_command(*command)
sys.exit(0)
"""


def test_django_makes_the_tables(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """And finds nothing to do after that."""
    migrations = tmp_path / "shop" / "migrations"
    migrations.mkdir(parents=True)
    for folder in (tmp_path / "shop", migrations):
        Path(folder, "__init__.py").write_text("")
    Path(migrations, "0001_sessions.py").write_text(f"STATEMENTS = {ddl('sqlite')!r}\n\n{DJANGO}")

    subprocess.run([sys.executable, "-c", DJANGO_SITE], cwd=tmp_path, check=True, timeout=120, capture_output=True)

    with new_place("sqlite", request, tmp_path) as place:
        assert_works(place.store(create_table=False), place.users(create_table=False))


RIGHTS = ["SELECT", "INSERT", "UPDATE", "DELETE"]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_application_needs_the_rights_that_the_page_grants(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each of them, and no other one. Without one, or without the tables, the start says so."""
    with new_place(kind, request, tmp_path) as place:
        role, url = new_role(place)
        if kind == "postgresql":
            with pytest.raises(ConfigError, match="python -m sessionware ddl"):
                place.users(url)
        place.users(), place.store()
        grants = [
            line for line in PAGE.splitlines() if line.startswith("GRANT") and ("shop." in line) == (kind == "mariadb")
        ]
        for grant in grants:
            place.execute(for_role(grant, place, role))

        assert_works(place.store(url, create_table=False), place.users(url, create_table=False))
        assert_works(place.store(url), place.users(url))
        for right in RIGHTS:
            change = for_role(grants[-1], place, role).replace(", ".join(RIGHTS), right)
            place.execute(change.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
            with pytest.raises(ConfigError, match="GRANT SELECT, INSERT, UPDATE, DELETE"):
                place.users(url, create_table=False)
            place.execute(change)


def new_role(place: Place) -> tuple[str, str]:
    """One that may do nothing yet, and the URL with it."""
    role = f"app_{secrets.token_hex(4)}"
    if place.kind == "postgresql":
        place.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'sesame'")
    else:
        place.execute(f"CREATE USER {role}@'%' IDENTIFIED BY 'sesame'")
    url = make_url(place.url).set(username=role, password="sesame")
    return role, url.render_as_string(hide_password=False)


def for_role(grant: str, place: Place, role: str) -> str:
    return grant.replace("TO app", f"TO {role}").replace("shop.", f"{place.name}.").rstrip(";")


def test_an_application_has_its_own_tables_beside_ours(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's shop, with one engine for the ORM, the sessions and the accounts."""
    monkeypatch.chdir(tmp_path)
    Path("session-secret").write_text("kaxuF6Xw9mB3yVtq_of_the_shop_G2vZ7pQe4LrN8sHc")
    shop: dict[str, Any] = {"__name__": "shop"}
    run(SHOP.replace("sqlite+pysqlite:///shop.db", place.url), shop)
    place.opened += [shop["engine"].dispose, shop["store"].close, shop["users"].close]
    client = TestApp(shop["app"], extra_environ={"wsgi.url_scheme": "https", "HTTP_HOST": "localhost:443"})

    assert client.get("/").status_int == 303
    form = client.get("/register").form
    form["username"], form["password"] = "Ada", PASSWORD
    assert "Ada has ordered 0 times" in form.submit().follow()
    assert "Ada has ordered 1 times" in client.post("/")
    assert "Ada has ordered 2 times" in client.post("/")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_accounts_that_move_here_stay_logged_in(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """And everything else about them stays as it was."""
    old = SQLiteUsers(tmp_path / "app.db")
    site = AuthSite(old)
    browser = site.browser()
    browser.do(lambda environ: site.auth.register(environ, "Zo\u00eb", PASSWORD, data={"city": "\u4eac"}))
    former = old.add("ada", "Ada", None, {})
    old.set_active(former.id, False)
    moved: dict[str, Any] = {}
    (program,) = [block.code for block in blocks(MOVING) if "def copy_accounts" in block.code]
    run(program, moved)

    with new_place(kind, request, tmp_path) as place:
        users = place.users()
        moved["copy_accounts"](tmp_path / "app.db", place.url)
        for key in ("zo\u00eb", "ada"):
            assert users.find_by_key(key) == old.find_by_key(key)
        site.users.behind = users
        assert browser.who() == "Zo\u00eb"
    old.close()
