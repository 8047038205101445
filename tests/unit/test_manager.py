"""SessionManager: what can be done to a site's sessions without a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

import pytest
from webtest import TestApp

from sessionware import (
    ConfigError,
    Cookie,
    Event,
    Keyring,
    MemoryStore,
    Session,
    SessionInfo,
    SessionManager,
    SessionMiddleware,
    SQLiteStore,
    StoreUnavailable,
    Timeouts,
    get_session,
)
from sessionware._core.envelope import Stored, open_record
from sessionware.testing import FaultyStore
from tests.support.fixed import SECRET, Clock

HOUR, DAY = 3600, 24 * 3600


@dataclass(frozen=True)
class MyAccount:
    """An account of an application's own."""

    id: str = "7"
    username: str = "Ada"
    session_version: int = 1


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def manager(store: FaultyStore, clock: Clock, events: list[Event]) -> SessionManager:
    return SessionManager(SECRET, store, clock=clock, on_event=events.append)


def visit(manager: SessionManager, act: Callable[[Session], Any], cookie: str | None = None) -> str:
    """One request of a browser; the handle of its session."""
    opened = manager.open(cookie=cookie)
    act(opened.session)
    opened.finish()
    return str(opened.session.id)


def login(manager: SessionManager, user_id: str = "7", version: int = 1) -> str:
    """A login in a browser of its own; the handle of the session."""
    return visit(manager, lambda session: session.login("Ada", user_id=user_id, session_version=version))


# Somebody's sessions ------------------------------------------------------------------------------------------------


def test_of_lists_the_latest_login_first(manager: SessionManager, clock: Clock) -> None:
    """With times, and none of them is current, since nobody asks from one."""
    first = login(manager)
    clock.tick(HOUR)
    second = login(manager)
    login(manager, user_id="8")
    began = int(clock()) - HOUR

    assert manager.of(user_id="7") == [
        SessionInfo(second, began + HOUR, began + HOUR, began + 13 * HOUR),
        SessionInfo(first, began, began, began + 12 * HOUR),
    ]


def test_of_finds_by_name_what_has_no_user_id(manager: SessionManager) -> None:
    """And only that: with a user id, a session belongs to the id."""
    named = visit(manager, lambda session: session.login("Ada"))
    login(manager)

    assert [info.id for info in manager.of(username="ada")] == [named]


def test_of_an_account_leaves_out_what_is_over(manager: SessionManager) -> None:
    """Sessions from before its present version are no longer accepted by `auth.user()`."""
    login(manager, version=1)
    now = login(manager, version=2)

    assert [info.id for info in manager.of(MyAccount(session_version=2))] == [now]
    assert len(manager.of(user_id="7")) == 2


def test_a_remembered_session_does_not_tell_its_last_use(manager: SessionManager, clock: Clock) -> None:
    """It has no idle limit to tell it by."""

    def act(session: Session) -> None:
        session.login("Ada", user_id="7")
        session.remember(10 * DAY)

    visit(manager, act)

    (info,) = manager.of(user_id="7")
    assert (info.last_used_at, info.expires_at) == (None, int(clock()) + 10 * DAY)


def test_end_ends_one_session(manager: SessionManager, events: list[Event]) -> None:
    """True for the call that did it."""
    ended, other = login(manager), login(manager)

    assert [manager.end(ended), manager.end(ended)] == [True, False]
    assert [info.id for info in manager.of(user_id="7")] == [other]
    assert [event.session_id for event in events if event.name == "session.ended"] == [ended]


@pytest.mark.parametrize("handle", ["", "7", "x" * 32, "0" * 31, None])
def test_end_says_what_is_not_a_handle(manager: SessionManager, handle: Any) -> None:
    """An id of something else must not look like a session that is over."""
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        manager.end(handle)


def test_end_all_ends_every_version(manager: SessionManager) -> None:
    """Those too that are over already: their data goes."""
    for version in (1, 2):
        login(manager, version=version)
    login(manager, user_id="8")

    assert manager.end_all(MyAccount(session_version=2)) == 2
    assert manager.of(user_id="7") == []
    assert len(manager.of(user_id="8")) == 1


def test_end_all_keeps_one(manager: SessionManager) -> None:
    """The one that asks, for instance."""
    kept = login(manager)
    login(manager)

    assert manager.end_all(user_id="7", keep=kept) == 1
    assert [info.id for info in manager.of(user_id="7")] == [kept]


@pytest.mark.parametrize("moment", ["load", "replace"])
@pytest.mark.parametrize(
    "whose", [{"user": MyAccount()}, {"user_id": "7"}, {"username": "Ada"}], ids=lambda who: next(iter(who))
)
def test_end_all_leaves_alone_what_became_somebody_elses(
    manager: SessionManager, store: FaultyStore, whose: dict[str, Any], moment: str
) -> None:
    """Between the list and the end another user may have logged in to the session, in the same browser."""
    opened = manager.open()
    opened.session.login("Ada", user_id=None if "username" in whose else "7", session_version=1)
    opened.finish()
    store.before[moment] = lambda: visit(manager, lambda session: session.login("Bob", user_id="8"), opened.cookie)

    assert manager.end_all(**whose) == 0
    assert len(manager.of(user_id="8")) == 1


def test_end_all_counts_where_somebody_was_logged_in(manager: SessionManager, store: FaultyStore, clock: Clock) -> None:
    """What is over by a limit that a deploy shortened is ended for good, but was no session any more."""
    login(manager)
    clock.tick(2 * HOUR)
    login(manager)
    shorter = SessionManager(SECRET, store, clock=clock, timeouts=Timeouts(idle=HOUR, lifetime=DAY))

    assert len(shorter.of(user_id="7")) == 1
    assert shorter.end_all(user_id="7") == 1
    assert manager.of(user_id="7") == []


def test_end_all_before_a_moment(manager: SessionManager, clock: Clock) -> None:
    """Logins that are older; one at that second stays."""
    login(manager)
    clock.tick(HOUR)
    newer = login(manager)

    assert manager.end_all(user_id="7", before=int(clock())) == 1
    assert [info.id for info in manager.of(user_id="7")] == [newer]


def test_export_tells_all_that_is_kept(manager: SessionManager, clock: Clock) -> None:
    """Header and data, as plain values; the token's hash is about nobody."""

    def act(session: Session) -> None:
        session.login("Ada", user_id="7", session_version=3)
        session["cart"] = ["tea"]

    handle, now = visit(manager, act), int(clock())

    assert manager.export(user_id="7") == [
        {
            "id": handle,
            "created_at": now,
            "authenticated_at": now,
            "expires_at": now + 12 * HOUR,
            "deadline": now + 7 * DAY,
            "idle": 12 * HOUR,
            "epoch": 1,
            "rotated_at": now,
            "username": "Ada",
            "user_id": "7",
            "session_version": 3,
            "extra": {},
            "data": {"cart": ["tea"]},
        }
    ]


def test_export_tells_no_hash_of_a_token(manager: SessionManager, store: FaultyStore) -> None:
    """Also where the header has a list of them, because logins joined or replaced other tokens."""
    opened = manager.open()
    opened.session["n"] = 1
    opened.session.renew_csrf()
    opened.finish()
    for _click in range(2):
        visit(manager, lambda session: session.login("Ada", user_id="7"), opened.cookie)

    (record,) = store.behind.scan()
    stored = open_record(manager._site.keys.record, record, b"")
    assert isinstance(stored, Stored)
    assert stored.envelope.extra.keys() == {"cs", "pt", "si"}
    assert [session["extra"] for session in manager.export(user_id="7")] == [{"cs": 1}]


@pytest.mark.parametrize("who", [{"user_id": "7"}, {"username": "Ada"}])
def test_session_is_found_by_its_owner_after_the_secret_that_it_began_under_is_gone(
    store: FaultyStore, clock: Clock, who: dict[str, Any]
) -> None:
    """The owner's digest is of the secret too, so it is renewed when the session is sealed anew."""
    older = "the secret before the rotation, long enough"
    before, during, after = (SessionManager(secret, store, clock=clock) for secret in (older, [SECRET, older], SECRET))
    opened = before.open()
    opened.session.login("Ada", user_id=who.get("user_id"))
    opened.finish()

    visit(during, lambda session: session.username, opened.cookie)

    assert [info.id for info in after.of(**who)] == [opened.session.id]


def test_reason_is_one_of_those_that_a_page_can_explain(manager: SessionManager) -> None:
    """A misspelt one is told at once, and not to the person on the login page."""
    id, reason = login(manager), "administrator"
    with pytest.raises(ValueError, match="there are elsewhere, limit, password, disabled, admin"):
        manager.end(id, reason=reason)  # type: ignore[arg-type]

    assert manager.end(id, reason="disabled")


@pytest.mark.parametrize("who", [{}, {"user_id": "7", "username": "Ada"}, {"user": MyAccount(), "user_id": "7"}])
@pytest.mark.parametrize("method", ["of", "end_all", "export"])
def test_exactly_one_says_who(manager: SessionManager, method: str, who: dict[str, Any]) -> None:
    """Nobody's sessions are nobody's: ending those of "no user" by mistake must not pass."""
    with pytest.raises(TypeError, match="pass exactly one of"):
        getattr(manager, method)(**who)


# All sessions -------------------------------------------------------------------------------------------------------


def test_stats_count_by_reading_all(manager: SessionManager, store: FaultyStore, clock: Clock) -> None:
    """In pages, with the number read so far."""
    store.broken.add("prune")  # which some creation may call at random
    visit(manager, lambda session: session.update(n=1))
    clock.tick(2 * HOUR)
    login(manager)
    manager.end(login(manager))
    progress: list[int] = []

    counts = manager.stats(progress=progress.append)

    assert counts.pop("bytes") == sum(len(record.payload) for record in store.behind.scan()) > 0
    assert counts == {
        "live": 1,
        "logged_in": 1,
        "expired": 1,
        "tombstones": 1,
        "unknown_key": 0,
        "throttle": 0,
        "tokens": 0,
    }
    assert progress == [3]


def test_stats_go_through_every_page(clock: Clock) -> None:
    """More records than one page has."""
    manager = SessionManager(SECRET, MemoryStore(), clock=clock)
    for _ in range(1001):
        visit(manager, lambda session: session.update(n=1))
    progress: list[int] = []

    assert manager.stats(progress=progress.append)["live"] == 1001
    assert progress[-1] == 1001
    assert progress == sorted(set(progress))
    assert len(progress) > 1


def test_prune_removes_what_has_expired(manager: SessionManager, store: FaultyStore, clock: Clock) -> None:
    """And says how many there were."""
    store.broken.add("prune")  # which some creation may call at random
    visit(manager, lambda session: session.update(n=1))
    clock.tick(5 * HOUR)
    login(manager)
    store.broken.clear()

    assert [manager.prune(), manager.prune()] == [1, 0]
    assert manager.stats()["live"] == 1


def test_ping_raises_in_an_outage_and_changes_nothing(manager: SessionManager, store: FaultyStore) -> None:
    """For a health probe."""
    manager.ping()
    assert store.calls == ["load"]

    store.broken.add("load")
    with pytest.raises(StoreUnavailable):
        manager.ping()


def test_stats_only_read(manager: SessionManager, store: FaultyStore, events: list[Event]) -> None:
    """A record that does not open is not counted, and is left to the next reader."""
    login(manager)
    (record,) = store.scan()
    assert store.replace(record._replace(version=record.version + 1))

    assert set(manager.stats().values()) == {0}
    assert len(store.scan()) == 1
    assert [event.name for event in events] == ["session.created", "session.login"]


def test_manager_and_middleware_take_the_same_settings() -> None:
    """Each says so in its own signature, so that an editor shows it."""
    ours = signature(SessionManager).parameters
    theirs = signature(SessionMiddleware).parameters

    assert {name: ours[name] for name in ours if name[0] != "_"} == {
        name: theirs[name] for name in theirs if name not in ("app", "environ_key")
    }


@pytest.mark.parametrize(
    "build",
    [
        lambda secret: SessionManager(cast(Any, MemoryStore()), secret),
        lambda secret: SessionManager(SECRET, secret),
        lambda secret: SessionManager(SECRET, cookie=secret),
    ],
)
def test_error_shows_no_text_that_may_be_a_secret(build: Callable[[Any], object]) -> None:
    """Two arguments in the wrong order are a common mistake, and errors go into logs."""
    secret = "kX7mPq2nRv9wLs4tYb6cZd8eFg1hJk3m"
    with pytest.raises(ConfigError) as refused:
        build(secret)

    assert secret not in repr(refused.value)


# With a middleware --------------------------------------------------------------------------------------------------


def _count(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    session = get_session(environ)
    count = session.modify("n", lambda n: n + 1, default=0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{count} {session.username}".encode()]


def test_wrap_is_the_same_line_the_other_way(manager: SessionManager) -> None:
    """One manager may serve several applications: the session is one."""
    shop, blog = manager.wrap(_count), manager.wrap(_count)
    browser = TestApp(shop)
    browser.get("/")
    browser.app = blog

    assert isinstance(shop, SessionMiddleware)
    assert shop.manager is blog.manager is manager
    assert browser.get("/").text == "2 None"


def test_wrap_keeps_the_session_where_it_is_told(manager: SessionManager) -> None:
    """Under another key, for a second session."""
    seen: list[bool] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(get_session(environ, "admin.session").is_new)
        start_response("200 OK", [])
        return []

    TestApp(manager.wrap(app, environ_key="admin.session")).get("/")

    assert seen == [True]
    with pytest.raises(ConfigError, match="environ_key"):
        manager.wrap(app, environ_key="")


def test_middleware_has_its_manager() -> None:
    """The one line that everybody writes gives it too."""
    middleware = SessionMiddleware(_count, SECRET)
    TestApp(middleware).get("/")

    assert middleware.manager.stats()["live"] == 1


def test_keyring_is_taken_as_it_is(clock: Clock) -> None:
    """A secret, a list of them, or a `Keyring` of either."""
    store = MemoryStore()
    one = SessionManager(Keyring(SECRET), store, clock=clock)
    name, value = one.login_cookie("ada")
    browser = TestApp(SessionMiddleware(_count, [SECRET], store, clock=clock), extra_environ={"HTTP_COOKIE": ""})

    assert browser.get("/", headers={"Cookie": f"{name}={value}"}).text == "1 ada"


# login_cookie -------------------------------------------------------------------------------------------------------


def test_login_cookie_is_that_of_a_fresh_session(manager: SessionManager, events: list[Event]) -> None:
    """Logged in, with data; and an event says where it came from."""
    name, value = manager.login_cookie(MyAccount(session_version=4), data={"n": 41})
    page = TestApp(manager.wrap(_count)).get("/", headers={"Cookie": f"{name}={value}"})

    assert (name, page.text) == ("sid", "42 Ada")
    assert [(event.name, event.detail) for event in events[:2]] == [
        ("session.created", "login_cookie"),
        ("session.login", "password"),
    ]
    assert [session["session_version"] for session in manager.export(user_id="7")] == [4]


def test_login_cookie_for_https(manager: SessionManager) -> None:
    """Pages that come by https read the other name only."""
    name, value = manager.login_cookie("ada", https=True)
    app, header = TestApp(manager.wrap(_count)), {"Cookie": f"{name}={value}"}

    assert name == "__Host-sid"
    assert app.get("/", headers=header, extra_environ={"wsgi.url_scheme": "https"}).text == "1 ada"
    assert app.get("/", headers=header).text == "1 None"


# Arguments ----------------------------------------------------------------------------------------------------------


class Delegating:
    """A proxy that hands on whatever it is asked for."""

    def __init__(self, behind: object) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


def test_a_proxy_of_a_store_is_a_store(clock: Clock) -> None:
    """People put counters and caches around things."""
    manager = SessionManager(SECRET, Delegating(MemoryStore()), clock=clock)

    assert len(login(manager)) == 32


@pytest.mark.parametrize("path", ["ab", ["a"], ("a/b",), (1,), ("\ud800",), ("a",) * 65, None, lambda: ()])
def test_path_of_a_store_is_checked_at_the_start(path: Any) -> None:
    """Records are sealed for it: with a wrong one they would not open later."""

    class Odd(MemoryStore):
        @property
        def path(self) -> Any:
            return path

    with pytest.raises(ConfigError):
        SessionManager(SECRET, Odd())


@pytest.mark.parametrize(
    "wrong",
    [
        {"store": SQLiteStore},
        {"store": "sqlite:///sessions.db"},
        {"cookie": "sid"},
        {"timeouts": 3600},
        {"cross_origin": "ignore"},
        {"max_bytes": 10},
        {"on_event": "print"},
        {"client_address": "X-Forwarded-For"},
        {"clock": 0},
    ],
)
def test_wrong_argument_fails_when_it_is_built(wrong: dict[str, Any]) -> None:
    """And the text names it."""
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"^{name}="):
        SessionManager(SECRET, **wrong)


def test_arguments_are_those_of_the_middleware() -> None:
    """What is true of one line is true of the other."""
    manager = SessionManager(SECRET, cookie=Cookie(name="shop"), timeouts=Timeouts(idle=60), clock=lambda: 1000)
    name, _ = manager.login_cookie("ada")

    assert name == "shop"
    assert [info.expires_at for info in manager.of(username="ada")] == [1060]
