"""The public face as a type checker sees it. Read by mypy and pyright (tests/project/test_typing.py); never run.

Each line that must be wrong carries an ignore: a checker that finds nothing to ignore there complains, and so says that
a mistake has become invisible.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true, reportUnnecessaryComparison=true

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from typing_extensions import assert_type

from sessionware import (
    REMOVED,
    Account,
    Cookie,
    Event,
    EventName,
    FileStore,
    Keyring,
    MemoryStore,
    Opened,
    Record,
    Session,
    SessionInfo,
    SessionManager,
    SessionMiddleware,
    SQLiteStore,
    Store,
    Timeouts,
    get_session,
    open_store,
)
from sessionware.auth import (
    Argon2Hasher,
    Auth,
    AuthPages,
    Hasher,
    MemoryUsers,
    Page,
    PasswordPolicy,
    SQLiteUsers,
    SQLUsers,
    User,
    Users,
    Verified,
    hash_password,
    safe_next,
    username_key,
    validate_password,
    verify_password,
)
from sessionware.testing import FaultyStore, MovableClock, log_in, session_of


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    session = get_session(environ)
    assert_type(session, Session)
    assert_type(session["n"], Any)
    assert_type(session.get("n", 0), Any)
    assert_type(session.id, str | None)
    assert_type(session.username, str | None)
    assert_type(session.user_id, str | None)
    assert_type(session.session_version, int | None)
    assert_type(session.created_at, int | None)
    assert_type(session.expires_at, int | None)
    assert_type(session.ends_at, int | None)
    assert_type(session.keep_alive, bool)
    assert_type(session.authenticated_at, int | None)
    assert_type(session.is_new, bool)
    assert_type(session.manager, SessionManager)
    assert_type(session.csrf_token, str)
    assert_type(session.check_csrf("x"), bool)
    assert_type(session.pop_flash(), list[Any])
    assert_type(session.copy(), dict[str, Any])
    session.modify("cart", lambda cart: cart or REMOVED, default=[])
    session.remember(timedelta(days=30))
    session.login("ada", user_id="7", session_version=1, check=lambda: True)
    session.renew_token()
    session.username = None
    session.usrename = "ada"  # type: ignore[attr-defined]
    session.log_in("ada")  # type: ignore[attr-defined]
    start_response("200 OK", [])
    return [b""]


def events(event: Event) -> None:
    assert_type(event.name, EventName)
    assert_type(event.keys, tuple[str, ...])
    assert_type(event.client_address, str | None)
    if event.name == "session.craeted":  # type: ignore[comparison-overlap]
        pass


stores: list[Store] = [
    MemoryStore(),
    SQLiteStore("x.db"),
    FileStore("x"),
    open_store("memory://"),
    FaultyStore(MemoryStore()),
]
tables: list[Users] = [
    MemoryUsers(),
    SQLiteUsers("x.db"),
    SQLUsers("postgresql://db.example.org/x"),
]
hashers: list[Hasher] = [Argon2Hasher()]

wrapped = SessionMiddleware(
    app,
    ["one secret", b"another"],
    stores[0],
    cookie=Cookie(name="sid", secure="auto"),
    timeouts=Timeouts(idle=timedelta(hours=1)),
    trusted_origins=["https://partner.example"],
    cross_origin="isolate",
    on_event=events,
    client_address=lambda environ: str(environ["HTTP_X_REAL_IP"]),
)
assert_type(wrapped.manager, SessionManager)
twice = SessionMiddleware(wrapped, Keyring("one secret"), environ_key="second")
SessionMiddleware(app, "secret", cross_origin="ignore")  # type: ignore[arg-type]
SessionMiddleware(app, "secret", "sessions.db")  # type: ignore[arg-type]
Cookie(samesite="lax")  # type: ignore[arg-type]


def manager(sessions: SessionManager, user: User) -> None:
    assert_type(sessions.of(user), list[SessionInfo])
    assert_type(sessions.of(user_id="7"), list[SessionInfo])
    assert_type(sessions.end("0" * 32), bool)
    assert_type(sessions.end_all(username="ada", keep="0" * 32), int)
    assert_type(sessions.export(user), list[dict[str, Any]])
    assert_type(sessions.stats(), dict[str, int])
    assert_type(sessions.wrap(app), SessionMiddleware)
    assert_type(sessions.login_cookie("ada"), tuple[str, str])
    opened = sessions.open(cookie=None)
    assert_type(opened, Opened)
    assert_type(opened.cookie, str | None)
    assert_type(opened.headers([("A", "b")]), list[tuple[str, str]])
    account: Account = user
    sessions.end_all(account)


def in_tests(client: object, sessions: SessionManager, user: User) -> None:
    clock = MovableClock()
    SessionManager("secret", clock=clock)
    clock.advance(timedelta(hours=1))
    log_in(client, sessions, user, data={"n": 1})
    log_in(client, sessions, "ada", url="https://localhost/")
    with session_of(client, sessions) as session:
        assert_type(session, Session)
    log_in(client, sessions, 7)  # type: ignore[arg-type]


class Request:
    """What most frameworks hand to a view."""

    environ: dict[str, Any]


def verify_legacy(stored: str, password: str) -> bool | None:
    return stored == password if stored.startswith("plain:") else None


def accounts(request: Request, environ: dict[str, Any], sessions: SessionManager) -> None:
    auth = Auth(MemoryUsers(), policy=PasswordPolicy(15), hasher=Argon2Hasher(), verify_legacy=verify_legacy)
    pages = AuthPages(
        app, auth, login_after_register=False, site_name="Notes", render=lambda page, _request: page.title
    )
    SessionMiddleware(pages, "secret")
    assert_type(auth.register(request, "ada", "…", data={"code": 1}), User)
    assert_type(auth.register(sessions, "ada", "…", login=False), User)
    assert_type(auth.authenticate(sessions, "ada", "…"), User)
    assert_type(auth.user(environ), User | None)
    assert_type(auth.require_user(request), User)
    assert_type(auth.sessions(request), list[SessionInfo])
    auth.register(request, "ada", "…", logn=False)  # type: ignore[call-arg]
    auth.login(sessions, "ada", "…")  # type: ignore[arg-type]
    get_session(5)  # type: ignore[arg-type]


def passwords(page: Page, record: Record) -> None:
    assert_type(hash_password("…"), str)
    assert_type(verify_password(None, "…"), Verified)
    assert_type(validate_password("…"), None)
    assert_type(username_key("Ada"), str | None)
    assert_type(safe_next("/x"), str)
    assert_type(page.title, str)
    assert_type(record.owner, bytes | None)
