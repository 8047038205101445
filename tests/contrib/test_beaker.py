"""An application, an ini file and libraries written for Beaker, on sessionware."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from threading import Lock
from typing import Any
from wsgiref.validate import validator

import beaker.middleware
import beaker.session
import pytest
from paste.deploy import loadapp
from webtest import TestApp

import dev
from sessionware import (
    ConfigError,
    Cookie,
    MemoryStore,
    SessionClosed,
    SessionManager,
    SQLiteStore,
    StoreUnavailable,
    get_session,
)
from sessionware import SessionMiddleware as OurMiddleware
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers
from sessionware.contrib.beaker import (
    CookieSession,
    Session,
    SessionMiddleware,
    SessionObject,
    install,
    session_filter_app_factory,
)
from sessionware.testing import FaultyStore
from tests.project.pages import blocks
from tests.support.fixed import SECRET, Clock
from tests.support.frames import frames_that_show
from tests.support.parallel import Meeting, lost_writes

View = Callable[[SessionObject], object]
COOKIE = "beaker.session.id"
LOST_BY_BEAKER = 100  # of 200 overlapping writes: one of each two


def serve(**views: View) -> Any:
    """An application whose view for a path gets Beaker's session, and returns what to show."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        text = str(views[environ["PATH_INFO"].strip("/")](environ["beaker.session"])).encode()
        status = "500 Internal Server Error" if text == b"error" else "200 OK"
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else text]

    return app


def browse(app: Any, **options: Any) -> TestApp:
    """A browser of such an application, with every message between server and application checked."""
    options = {"secret": SECRET, "store": MemoryStore(), **options}
    return TestApp(validator(SessionMiddleware(validator(app), **options)))


def put(session: SessionObject, **values: Any) -> None:
    for key, value in values.items():
        session[key] = value


def count(session: SessionObject) -> int:
    session["n"] = session.get("n", 0) + 1
    session.save()
    return int(session["n"])


def shown(session: SessionObject) -> dict[str, Any]:
    """The data without what Beaker adds to it."""
    return {key: session[key] for key in sorted(session) if not key.startswith("_")}


def with_cookie(browser: TestApp, path: str, cookie: str) -> str:
    """What a browser sees that has this cookie and no other."""
    return str(TestApp(browser.app).get(path, headers={"Cookie": f"{COOKIE}={cookie}"}).text)


# What a page does with its session ----------------------------------------------------------------------------------


def test_application_written_for_beaker_keeps_its_session() -> None:
    """Its keys, its `save()`, and a cookie of the name that Beaker uses."""
    browser = browse(serve(count=count))

    assert [browser.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    assert list(browser.cookies) == [COOKIE]


def test_nothing_is_kept_without_save() -> None:
    """Not even what is inside a value, and there is no cookie for it."""
    browser = browse(
        serve(
            drop=lambda session: put(session, n=1),
            keep=lambda session: [put(session, items=["tea"]), session.save()],
            inside=lambda session: session["items"].append("milk"),
            show=shown,
        )
    )

    assert "Set-Cookie" not in browser.get("/drop").headers
    browser.get("/keep")
    browser.get("/inside")
    assert browser.get("/show").text == "{'items': ['tea']}"


def test_what_is_changed_after_save_is_kept_too() -> None:
    """As in Beaker, where `save()` only says that it is to be done at the end."""
    browser = browse(
        serve(
            keep=lambda session: [session.save(), put(session, n=1)],
            inside=lambda session: [put(session, items=["tea"]), session.save(), session["items"].append("milk")],
            show=shown,
        )
    )
    browser.get("/keep")
    browser.get("/inside")

    assert browser.get("/show").text == "{'items': ['tea', 'milk'], 'n': 1}"


def test_auto_saves_every_change_without_save() -> None:
    """Inside values and deletions too, but a page that only looks at a new session gets no cookie."""
    browser = browse(
        serve(
            keep=lambda session: put(session, items=["tea"], n=1),
            change=lambda session: [session["items"].append("milk"), session.pop("n")],
            show=shown,
        ),
        auto="true",
    )

    assert "Set-Cookie" not in browser.get("/show").headers
    browser.get("/keep")
    browser.get("/change")
    assert browser.get("/show").text == "{'items': ['tea', 'milk']}"


def test_untouched_page_asks_the_store_for_nothing_and_gets_no_header() -> None:
    """Nor does a visitor whose session is there already."""
    store = FaultyStore(MemoryStore())
    browser = browse(serve(count=count, static=lambda _session: "static"), store=store)
    browser.get("/count")
    store.calls.clear()

    assert [name for name, _ in browser.get("/static").headerlist] == ["Content-Type", "Content-Length"]
    assert store.calls == []


def test_page_that_reads_says_that_it_depends_on_the_cookie() -> None:
    """Beaker does not, so that a shared cache could show one visitor's page to another."""
    assert browse(serve(show=shown)).get("/show").headers["Vary"] == "Cookie"


@pytest.mark.parametrize("end", ["delete", "invalidate"])
def test_ended_session_is_dead_and_its_cookie_goes(end: str) -> None:
    """Whoever has copied the cookie has nothing. Saving afterwards does not bring it back."""
    browser = browse(
        serve(
            count=count,
            end=lambda session: [getattr(session, end)(), session.save(), shown(session)][-1],
            show=shown,
        )
    )
    browser.get("/count")
    copied = browser.cookies[COOKIE]

    assert browser.get("/end").text == "{}"
    assert browser.cookies == {}
    assert with_cookie(browser, "/show", copied) == "{}"


def test_asking_for_the_id_of_an_ended_session_begins_none() -> None:
    """Though `save()` was called before."""
    browser = browse(serve(end=lambda session: [count(session), session.delete(), session.id]))

    assert "Set-Cookie" not in browser.get("/end").headers


def test_what_is_put_into_an_ended_session_begins_a_new_one() -> None:
    """Such as the message that says goodbye; nothing of the old one is in it."""
    browser = browse(
        serve(
            count=count,
            end=lambda session: [session.invalidate(), put(session, message="Goodbye"), session.save()],
            show=shown,
        )
    )
    browser.get("/count")
    copied = browser.cookies[COOKIE]
    browser.get("/end")

    assert browser.cookies[COOKIE] != copied
    assert browser.get("/show").text == "{'message': 'Goodbye'}"


def test_revert_takes_back_what_the_page_has_changed() -> None:
    """Though it was saved before."""
    browser = browse(
        serve(
            count=count,
            revert=lambda session: [put(session, n=7, m=8), session.save(), session.revert(), shown(session)][-1],
            show=shown,
        )
    )
    browser.get("/count")

    assert browser.get("/revert").text == browser.get("/show").text == "{'n': 1}"


def test_load_reads_the_session_afresh() -> None:
    """With what another request has saved meanwhile."""
    inner: list[TestApp] = []

    def load(session: SessionObject) -> dict[str, Any]:
        session["m"] = "not saved"
        inner[0].get("/count")
        session.load()
        return shown(session)

    browser = browse(serve(count=count, load=load))
    inner.append(browser)
    browser.get("/count")

    assert browser.get("/load").text == "{'n': 2}"


def test_regenerated_id_kills_the_old_cookie_and_keeps_the_data() -> None:
    """For when somebody has logged in."""
    browser = browse(serve(count=count, login=lambda session: session.regenerate_id(), show=shown))
    browser.get("/count")
    planted = browser.cookies[COOKIE]
    browser.get("/login")

    assert browser.get("/show").text == "{'n': 1}"
    assert with_cookie(browser, "/show", planted) == "{}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Decimal("1.0"), Decimal("1.00")),
        (0.0, -0.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1], (1,)),
        ({1}, {True}),
        ([{"a": [1]}], [{"a": [True]}]),
        (datetime(2026, 1, 1, 12, tzinfo=timezone.utc), datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
    ],
    ids=["decimal", "zero", "order", "tuple", "set", "nested", "timezone"],
)
def test_value_that_is_equal_and_stored_differently_is_saved(before: object, after: object) -> None:
    """It is another one to whoever shows it."""
    browser = browse(
        serve(
            before=lambda session: [put(session, value=before), session.save()],
            after=lambda session: [put(session, value=after), session.save()],
            show=lambda session: repr(session["value"]),
        )
    )
    browser.get("/before")
    browser.get("/after")

    assert browser.get("/show").text == repr(after)


def test_what_beaker_adds_is_there(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Among the data and as attributes, in a new session and in a stored one."""
    monkeypatch.setattr(time, "time", clock)

    def look(session: SessionObject) -> list[object]:
        times = session["_creation_time"], session["_accessed_time"], session.created, session.last_accessed
        return [session.is_new, *times, session.timeout, session.key, session.path, session.has_key("n")]

    began = clock.now
    browser = browse(serve(look=look, count=count), timeout=3600)
    assert browser.get("/look").text == str([True, began, began, began, None, 3600, COOKIE, "/", False])
    browser.get("/count")
    clock.tick(120)
    browser.get("/count")
    clock.tick(10)
    assert browser.get("/look").text == str([False, began, began + 130, began, began + 120, 3600, COOKIE, "/", True])


def test_id_among_the_data_stays_and_opens_nothing() -> None:
    """From the first look at a session on, so it is good for logs and as a key in tables."""
    browser = browse(
        serve(
            first=lambda session: [session["_id"], count(session)][0],
            second=lambda session: session["_id"],
            login=lambda session: [session.regenerate_id(), session["_id"]][-1],
        )
    )
    first = browser.get("/first").text

    assert [browser.get("/second").text, browser.get("/login").text, browser.get("/second").text] == [first] * 3
    assert with_cookie(browser, "/second", first) != first


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_session_is_found_by_its_id(scheme: str) -> None:
    """By whoever has it, as the browser does. Changes are saved at once, and one that has ended is not found."""
    found: list[str] = []

    def other(session: SessionObject) -> object:
        theirs = session.get_by_id(found[0])
        if theirs is not None:
            theirs["seen"] = True
            theirs.save()
        return theirs is not None

    app = serve(
        enter=lambda session: [count(session), found.append(session.id)],
        other=other,
        show=shown,
        end=lambda session: session.delete(),
    )
    site = SessionMiddleware(app, secret=SECRET, store=MemoryStore())
    browser, admin = (TestApp(site, extra_environ={"wsgi.url_scheme": scheme}) for _ in range(2))

    browser.get("/enter")
    assert admin.get("/other").text == "True"
    assert browser.get("/show").text == "{'n': 1, 'seen': True}"
    browser.get("/end")
    assert admin.get("/other").text == "False"


def test_session_without_cookie_is_made_and_opened_again() -> None:
    """By what `environ["beaker.get_session"]` returns."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        made = environ["beaker.get_session"]()
        made["n"] = 1
        made.save()
        again = environ["beaker.get_session"](made.id)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr((again["n"], again.is_new)).encode()]

    answer = browse(app).get("/")
    assert answer.text == "(1, False)"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("name", "value", "other", "option"),
    [
        ("domain", "example.com", "other.example", "cookie_domain"),
        ("path", "/assign", "/", "cookie_path"),
        ("key", COOKIE, "other", "key"),
        ("timeout", 3600, 7200, "timeout"),
        ("secure", True, False, "secure"),
        ("httponly", True, False, "httponly"),
        ("samesite", "Lax", "Strict", "samesite"),
    ],
)
def test_what_is_the_same_for_the_whole_site_cannot_be_assigned(name: str, value: Any, other: Any, option: str) -> None:
    """Saying the same again is harmless, and anything else is refused, with the option to set instead."""

    def assign(session: SessionObject) -> None:
        setattr(session, name, value)
        setattr(session, name, other)

    site = {"cookie_domain": ".example.com", "cookie_path": "/assign", "timeout": 3600, "secure": True}
    with pytest.raises(ConfigError, match=rf"^session\.{name} = .*: .* Set session\.{option} there"):
        browse(serve(assign=assign), **site).get("/assign")


@pytest.mark.parametrize(
    ("expires", "timeout", "cookie"),
    [
        (timedelta(days=14), None, "; Max-Age=1209600"),
        (300, None, "; Max-Age=300"),
        (timedelta(days=14), 3600, "; Max-Age=3600"),
        (False, None, "; Max-Age=2592000"),
        (True, None, ""),
    ],
    ids=["fortnight", "seconds", "timeout", "false", "true"],
)
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "stored"])
def test_login_says_how_long_its_cookie_stays(
    expires: object, timeout: int | None, cookie: str, *, is_new: bool
) -> None:
    """By `cookie_expires`, as a "remember me" does. Beaker forgets it unless the session is new or is regenerated."""

    def login(session: SessionObject) -> None:
        session.cookie_expires = expires
        session.regenerate_id()
        count(session)

    options = {} if timeout is None else {"timeout": timeout}
    browser = browse(serve(count=count, login=login), **options)
    if not is_new:
        browser.get("/count")

    assert browser.get("/login").headers["Set-Cookie"].partition("SameSite=Lax")[2] == cookie


def test_remembered_login_stays_though_the_others_go_with_the_browser(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """For so long after its last use, on the server too; wrong values of `cookie_expires` are refused."""
    monkeypatch.setattr(time, "time", clock)

    def login(session: SessionObject) -> None:
        session.cookie_expires = timedelta(days=21)
        count(session)

    browser = browse(serve(login=login, count=count, wrong=lambda session: setattr(session, "cookie_expires", "soon")))
    numbers = [browser.get("/login").text, browser.get("/count").text]
    for days in (20, 20, 22):
        clock.tick(days * 24 * 3600)
        numbers.append(browser.get("/count").text)

    assert numbers == ["None", "2", "3", "4", "1"]
    with pytest.raises(ConfigError, match=r"^session\.cookie_expires = 'soon': write a number of seconds"):
        browser.get("/wrong")


def test_page_that_only_says_how_long_gets_no_cookie() -> None:
    """A session without data is not worth one."""
    browser = browse(serve(remember=lambda session: setattr(session, "cookie_expires", 300)))

    assert "Set-Cookie" not in browser.get("/remember").headers


def test_value_that_cannot_be_stored_is_refused_where_it_is_saved() -> None:
    """By its key and type. The error page goes out, and the next page has its session."""

    def save(session: SessionObject) -> None:
        session["door"] = Lock()
        session.save()

    browser = browse(serve(count=count, save=save, show=shown))
    browser.get("/count")

    with pytest.raises(TypeError, match=r"'door'.*lock"):
        browser.get("/save")
    assert browser.get("/show").text == "{'n': 1}"


def test_error_page_goes_out_in_place_of_a_page_that_cannot_be_saved() -> None:
    """A framework starts its response again, with what was raised. Nothing of the page is saved with it."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["beaker.session"]["n"], environ["beaker.session"]["door"] = 1, Lock()
        headers = [("Content-Type", "text/plain")]
        try:
            start_response("200 OK", headers)
        except TypeError:
            start_response("500 Internal Server Error", headers, sys.exc_info())
        return [b"sorry"]

    answer = browse(app, auto=True).get("/", status=500)
    assert (answer.text, "Set-Cookie" in answer.headers) == ("sorry", False)


def test_changed_type_is_a_change() -> None:
    """1 and True are equal and not the same, in lists and dicts too."""
    browser = browse(
        serve(
            numbers=lambda session: [put(session, a=1, b=[1], c={"d": 1}), session.save()],
            truths=lambda session: [put(session, a=True, b=[True], c={"d": True}), session.save()],
            show=shown,
        )
    )
    browser.get("/numbers")
    browser.get("/truths")

    assert browser.get("/show").text == "{'a': True, 'b': [True], 'c': {'d': True}}"


# Requests that meet, and those that fail ----------------------------------------------------------------------------


def meeting_app(meeting: Meeting) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        session, key = environ["beaker.session"], environ["QUERY_STRING"]
        if key:
            session["_creation_time"]  # reads the session
            meeting.wait()
            session[key] = True
            session.save()
        else:
            session["n"] = 1
            session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [" ".join(session).encode()]

    return app


def lost_of_200(site: Any) -> int:
    browser = TestApp(site)
    browser.get("/")
    cookie = browser.cookies[COOKIE]
    return lost_writes(
        lambda key: TestApp(site).get(f"/?{key}", headers={"Cookie": f"{COOKIE}={cookie}"}),
        lambda: browser.get("/").text.split(),
    )


def test_no_write_of_overlapping_requests_is_lost(tmp_path: Path) -> None:
    """Each saves its whole session, as far as it knows, and keeps what the other one has saved."""
    store = SQLiteStore(tmp_path / "sessions.db")

    assert lost_of_200(SessionMiddleware(meeting_app(Meeting()), secret=SECRET, store=store)) == 0


def test_beakers_own_sessions_lose_half_of_those_writes(tmp_path: Path) -> None:
    """The figure that docs/beaker.md states."""
    options = {"type": "file", "data_dir": str(tmp_path), "secret": SECRET}

    assert lost_of_200(beaker.middleware.SessionMiddleware(meeting_app(Meeting()), **options)) == LOST_BY_BEAKER


@pytest.mark.parametrize("broken", ["load", "replace"])
def test_outage_is_a_503_and_logs_nobody_out(broken: str) -> None:
    """Whether the session cannot be read or cannot be saved."""
    store = FaultyStore(MemoryStore())
    browser = browse(serve(count=count), store=store)
    browser.get("/count")
    store.broken.add(broken)

    answer = browser.get("/count", status=503)
    assert (answer.headers["Retry-After"], answer.headers.get("Set-Cookie")) == ("5", None)
    store.broken.clear()
    assert browser.get("/count").text == "2"


def test_server_error_saves_nothing() -> None:
    """An error page, and an exception that leaves the application. Beaker saves before an error page."""
    browser = browse(
        serve(count=count, error=lambda session: [count(session), "error"][1], crash=lambda session: count(session) / 0)
    )
    browser.get("/count")
    browser.get("/error", status=500)
    with pytest.raises(ZeroDivisionError):
        browser.get("/crash")

    assert browser.get("/count").text == "2"


def test_save_after_the_headers_is_kept() -> None:
    """While the body is streamed; Beaker loses it."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        session = environ["beaker.session"]
        session["before"] = session.get("before", 0) + 1
        session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield repr(shown(session)).encode()
        session["after"] = True
        session.save()

    browser = browse(app)
    browser.get("/")

    assert browser.get("/").text == "{'after': True, 'before': 2}"


def test_change_after_the_headers_needs_a_save_too() -> None:
    """Inside a value that was saved before them."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        items = environ["beaker.session"].setdefault("items", ["tea"])
        environ["beaker.session"].save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield repr(items).encode()
        items.append("milk")

    browser = browse(app)

    assert [browser.get("/").text for _ in range(2)] == ["['tea']", "['tea']"]


def test_head_is_answered_like_get() -> None:
    """With the cookie, and without a body."""
    answer = browse(serve(count=count)).head("/count")

    assert (answer.headers["Content-Length"], COOKIE in answer.headers["Set-Cookie"], answer.body) == ("1", True, b"")


def test_request_from_another_site_has_no_session() -> None:
    """So a form there changes nothing here, and ends nothing."""
    browser = browse(serve(count=count, show=shown, end=lambda session: session.delete()))
    browser.get("/count")
    foreign = {"Origin": "https://other.example"}

    assert browser.post("/count", headers=foreign).text == "1"
    browser.post("/end", headers=foreign)
    assert browser.get("/show").text == "{'n': 1}"


# Together with the rest of sessionware ------------------------------------------------------------------------------


def test_accounts_and_beakers_data_are_in_one_session() -> None:
    """Logging in keeps the visitor's data under a new token, and the manager knows where somebody is logged in."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    password = "seven quiet lanterns drift"

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        session, page = environ["beaker.session"], environ["PATH_INFO"]
        if page == "/count":
            count(session)
        elif page == "/register":
            auth.register(environ, "Ada", password)
        elif page == "/logout":
            auth.logout(environ)
        user = auth.user(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr((user and user.username, get_session(environ).get("n"))).encode()]

    site = SessionMiddleware(app, secret=SECRET, store=MemoryStore())
    browser = TestApp(site)
    browser.get("/count")
    before = browser.cookies[COOKIE]

    assert browser.post("/register").text == "('Ada', 1)"
    assert browser.cookies[COOKIE] != before
    assert browser.get("/count").text == "('Ada', 2)"
    assert site.manager.stats()["logged_in"] == 1
    assert browser.post("/logout").text == "(None, None)"


@pytest.fixture
def auth() -> Auth:
    """Accounts of Ann and Bob, whose names are their passwords' beginnings."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    manager = SessionManager(SECRET, MemoryStore())
    for name in ("ann", "bob"):
        auth.register(manager, name, password_of(name), login=False)
    return auth


def password_of(name: str) -> str:
    return f"{name} seven quiet lanterns drift"


def with_accounts(auth: Auth) -> Any:
    """Pages that read their session, log in or out, and leave a message after all earlier ones."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        session, page, name = environ["beaker.session"], environ["PATH_INFO"], environ["QUERY_STRING"]
        if page != "/unread":
            session.get("messages")
        if page in ("/login", "/unread", "/short"):
            auth.login(environ, name, password_of(name))
        elif page == "/trusted":
            get_session(environ).login(name)  # which is stored with the response
        elif page == "/logout":
            auth.logout(environ)
        elif page == "/end":
            get_session(environ).invalidate()
        if page == "/short":
            session.cookie_expires = True
        if page != "/unread":
            session["messages"] = [*session.get("messages", []), page]
            session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(session.get("messages")).encode()]

    return app


def test_nothing_of_one_user_gets_into_the_next_ones_session(auth: Auth) -> None:
    """Though the page had read it before it logged the next one in."""
    browser = browse(with_accounts(auth))
    browser.post("/login?ann")
    browser.get("/secret")

    assert browser.post("/login?bob").text == "['/login']"
    assert browser.get("/next").text == "['/login', '/next']"


def test_nothing_of_a_user_is_left_after_the_logout(auth: Auth) -> None:
    """Though the page had read it before."""
    browser = browse(with_accounts(auth))
    browser.post("/login?ann")
    browser.get("/secret")

    assert browser.post("/logout").text == "['/logout']"
    assert browser.get("/next").text == "['/logout', '/next']"


def test_nothing_of_a_session_is_left_after_its_end(auth: Auth) -> None:
    """Though nobody was logged in, and the page had read it before."""
    browser = browse(with_accounts(auth))
    browser.get("/first")

    assert browser.post("/end").text == "['/end']"
    assert browser.get("/next").text == "['/end', '/next']"


def test_what_a_visitor_has_is_kept_at_the_login(auth: Auth) -> None:
    """Also what the same page has read, and what it has changed without saving it yet."""
    browser = browse(with_accounts(auth))
    browser.get("/first")

    assert browser.post("/login?ann").text == "['/first', '/login']"
    assert browser.get("/next").text == "['/first', '/login', '/next']"


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "stored"])
@pytest.mark.parametrize("page", ["unread", "login", "trusted"])
def test_login_stays_as_long_as_the_option_says(page: str, auth: Auth, *, is_new: bool) -> None:
    """Whether the page has used Beaker's session or not, and whether there was one before."""
    browser = browse(with_accounts(auth), cookie_expires=300)
    if not is_new:
        browser.get("/first")

    assert "Max-Age=300" in browser.post(f"/{page}?ann").headers["Set-Cookie"]


def test_login_that_goes_with_the_browser_stays_so_at_the_next_page(auth: Auth) -> None:
    """Which follows in the same second, as after a redirect. The option is for those that say nothing."""
    browser = browse(with_accounts(auth), cookie_expires=300)
    browser.get("/first")

    assert "Max-Age" not in browser.post("/short?ann").headers["Set-Cookie"]
    assert "Set-Cookie" not in browser.get("/next").headers


def test_login_of_the_applications_own_can_be_ended_everywhere() -> None:
    """If it tells our session too, whose data stays, under a new token."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        session = environ["beaker.session"]
        n = count(session)
        if environ["PATH_INFO"] == "/login":
            get_session(environ).login("Ada", user_id="7")
            session["user_id"] = 7
            session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr((n, session.get("user_id"))).encode()]

    site = SessionMiddleware(app, secret=SECRET, store=MemoryStore())
    browser = TestApp(site)
    browser.get("/")
    before = browser.cookies[COOKIE]

    assert [browser.get(page).text for page in ("/login", "/")] == ["(2, 7)", "(3, 7)"]
    assert browser.cookies[COOKIE] != before
    assert site.manager.end_all(user_id="7") == 1
    assert browser.get("/").text == "(1, None)"


def test_change_beneath_a_page_is_not_overwritten_by_it() -> None:
    """A page that saves does not put back what somebody has changed in our session meanwhile."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        session = environ["beaker.session"]
        before = session.get("n"), session.get("items")
        get_session(environ).modify("n", lambda n: n + 1, default=0)
        get_session(environ).setdefault("items", []).append("tea")
        session["other"] = before
        session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(before).encode()]

    browser = browse(app)

    assert [browser.get("/").text for _ in range(3)] == ["(None, None)", "(1, ['tea'])", "(2, ['tea', 'tea'])"]


def test_session_that_is_under_way_is_the_one_that_is_used() -> None:
    """Where sessionware's own middleware is around it, there is one session, and one cookie."""
    inside = SessionMiddleware(serve(count=count), secret=SECRET, store=MemoryStore())
    browser = TestApp(validator(OurMiddleware(inside, secret=SECRET[::-1], store=MemoryStore())))
    browser.get("/count")

    assert (browser.get("/count").text, list(browser.cookies)) == ("2", ["sid"])


def test_two_sessions_are_side_by_side() -> None:
    """Each with a cookie and a place in the environ of its own, as in Beaker."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        numbers = count(environ["beaker.session"]), count(environ["admin.session"])
        environ["admin.session"].delete()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(numbers).encode()]

    inside = SessionMiddleware(app, environ_key="admin.session", key="admin", secret=SECRET, store=MemoryStore())
    browser = browse(inside)

    assert [browser.get("/").text for _ in range(2)] == ["(1, 1)", "(2, 1)"]
    assert list(browser.cookies) == [COOKIE]


def test_copy_has_the_same_data() -> None:
    """As WebTest and debuggers make one."""
    browser = browse(serve(count=lambda session: [count(session), shown(copy(session))][-1]))

    assert browser.get("/count").text == "{'n': 1}"


def test_webtest_gets_the_session() -> None:
    """Under the name that `webtest_varname` gives, and it can be read after the response."""
    browser = browse(serve(count=count), webtest_varname="session")

    assert browser.get("/count").session["n"] == 1


def test_moved_visitor_may_come_back_hours_later(monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path) -> None:
    """By the code on the page, with the cart. The old cookie is worth nothing any more."""
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.chdir(tmp_path)
    Path("session-secret").write_text(SECRET)
    page = (dev.ROOT / "docs" / "beaker.md").read_text(encoding="utf-8")
    (code,) = [block.code for block in blocks(page) if "def moving" in block.code]
    names: dict[str, Any] = {"Path": Path, "counter": serve(count=count)}
    exec(code, names)
    before = TestApp(beaker.middleware.SessionMiddleware(names["counter"], **names["OLD"]))
    before.get("/count")
    moved = TestApp(names["app"])

    assert moved.get("/count", headers={"Cookie": f"{COOKIE}={before.cookies[COOKIE]}"}).text == "2"
    clock.tick(2 * 3600)
    assert moved.get("/count").text == "3"
    assert before.get("/count").text == "1"


# Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "cookie"),
    [
        ({}, "beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax"),
        ({"key": "shop"}, "shop=V; Path=/; HttpOnly; SameSite=Lax"),
        ({"cookie_path": "/shop"}, "beaker.session.id=V; Path=/shop; HttpOnly; SameSite=Lax"),
        ({"cookie_domain": ".localhost"}, "beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax; Domain=localhost"),
        ({"samesite": "Strict"}, "beaker.session.id=V; Path=/; HttpOnly; SameSite=Strict"),
        ({"samesite": "None", "secure": "yes"}, "__Host-beaker.session.id=V; Path=/; HttpOnly; SameSite=None; Secure"),
        ({"secure": "true"}, "__Host-beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({"cookie_expires": "true"}, "beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax"),
        ({"cookie_expires": 300}, "beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax; Max-Age=300"),
        (
            {"cookie_expires": "86400", "timeout": "60"},
            "beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax; Max-Age=60",
        ),
        ({"cookie_expires": "false"}, "beaker.session.id=V; Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000"),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else "",
)
def test_cookie_is_as_the_options_say(options: dict[str, Any], cookie: str) -> None:
    """As text, as an ini file has them, or as what they are."""
    line = browse(serve(**{"shop/count": count}), **options).get("/shop/count").headers["Set-Cookie"]
    name, _, rest = line.partition("=")

    assert f"{name}=V;{rest.partition(';')[2]}" == cookie


def test_timeout_ends_a_session_that_nobody_uses(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """So many seconds after its last use, and not after its beginning."""
    monkeypatch.setattr(time, "time", clock)
    browser = browse(serve(count=count), timeout="600")
    numbers = []
    for seconds in (0, 500, 500, 601):
        clock.tick(seconds)
        numbers.append(browser.get("/count").text)

    assert numbers == ["1", "2", "3", "1"]


@pytest.mark.parametrize("prefix", ["session.", "beaker.session.", ""])
def test_options_are_found_by_their_prefix(prefix: str) -> None:
    """With one, whatever else is in the settings is ignored."""
    config = {f"{prefix}secret": SECRET, f"{prefix}key": "shop", f"{prefix}type": "memory"}
    others = {"debug": "true", "cache.type": "memory"} if prefix else {}
    browser = TestApp(SessionMiddleware(serve(count=count), {**config, **others}))
    browser.get("/count")

    assert list(browser.cookies) == ["shop"]


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({"data_dir": "{here}/data"}, "data/sessionware"),
        ({"type": "file", "data_dir": "{here}/data"}, "data/sessionware"),
        ({"type": "ext:database", "url": "sqlite:///{here}/app.db"}, "app.db"),
        ({"type": "cookie", "store": "sqlite:///{here}/app.db"}, "app.db"),
    ],
    ids=["data_dir", "file", "database", "cookie"],
)
def test_store_is_the_nearest_to_beakers(options: dict[str, Any], made: str, tmp_path: Path) -> None:
    """Where Beaker would have kept them, if there is such a store."""
    here: dict[str, Any] = {name: value.format(here=tmp_path) for name, value in options.items()}
    TestApp(SessionMiddleware(serve(count=count), secret=SECRET, **here)).get("/count")

    assert (tmp_path / made).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secret": None}, r"^session\.secret: no secret was given: .*session-secret.* session\.secret = "),
        ({"secret": "blah"}, r"^session\.secret: the secret has 4 characters"),
        ({"secret": None, "validate_key": True}, r"^session\.validate_key: a secret must be text or bytes, not bool"),
        ({"httponly": "false"}, r"^session\.httponly = false: the cookie is always HttpOnly\. Remove"),
        ({"timeot": 5}, r"^session\.timeot: there is no such option.* timeout"),
        ({"timeout": "soon"}, r"^session\.timeout = 'soon': write a number of seconds"),
        ({"timeout": 0}, r"^session\.timeout = 0: write a number of seconds, 1 or more"),
        ({"timeout": 60, "save_accessed_time": "false"}, r"^session\.timeout counts from the last use: remove"),
        ({"auto": "maybe"}, r"^session\.auto = 'maybe': write true or false"),
        ({"store": None, "type": "cookie"}, r"^session\.type = cookie: .* session\.store = sqlite:"),
        (
            {"store": None, "data_dir": "/dev/null/data"},
            r"^session\.data_dir = /dev/null/data: Not a directory\. Name ",
        ),
        ({"store": None, "type": "file"}, r"^session\.type = file: .* session\.store = sqlite:"),
        ({"store": None, "type": "ext:memcached", "url": "127.0.0.1:11211"}, r"^session\.type = ext:memcached: "),
        ({"samesite": "lax"}, r"write \"Lax\""),
        ({"samesite": "None"}, r"^session\.samesite = None: .* Add session\.secure = true"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_option_is_refused_when_the_application_starts(options: dict[str, Any], message: str) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError, match=message):
        SessionMiddleware(serve(), **{"secret": SECRET, "store": MemoryStore(), **options})


def test_settings_without_any_of_the_session_lack_a_secret() -> None:
    """Whatever else is in them, as in the global part of an ini file."""
    with pytest.raises(ConfigError, match=r"^session\.secret: no secret was given"):
        SessionMiddleware(serve(), {"debug": "true", "cache.type": "memory"})


def test_secret_is_replaced_without_logging_anybody_out() -> None:
    """By one more line, the newest first."""
    store, new = MemoryStore(), SECRET[::-1]
    before = TestApp(SessionMiddleware(serve(count=count), secret=SECRET, store=store))
    before.get("/count")
    after = TestApp(SessionMiddleware(serve(count=count), secret=f"\n{new}\n{SECRET}", store=store))

    assert with_cookie(after, "/count", before.cookies[COOKIE]) == "2"


def ways_to_say(secret: str, **wrong: Any) -> list[Callable[[], object]]:
    """Every way to hand over the secret, with something else that is wrong."""
    prefixed = {"session.secret": secret, **{f"session.{name}": value for name, value in wrong.items()}}
    return [
        lambda: SessionMiddleware(serve(), prefixed),
        lambda: SessionMiddleware(serve(), {"secret": secret, **wrong}),
        lambda: SessionMiddleware(serve(), secret=secret, **wrong),
        lambda: session_filter_app_factory(serve(), {}, **prefixed),
        lambda: session_filter_app_factory(serve(), prefixed),
        lambda: SessionObject({}, secret=secret, **wrong),
        lambda: Session(secret=secret, **wrong),
        lambda: Session({"cookie": f"{COOKIE}=x"}, secret=secret),
    ]


WAYS = ["config", "no prefix", "keywords", "paste", "paste defaults", "SessionObject", "Session", "Session(request)"]


@pytest.mark.interpreted  # compiled frames have no local variables to show
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("secret", "wrong"),
    [(SECRET[:30], {}), (SECRET, {"auto": "maybe"}), (SECRET, {"typo": 1}), (SECRET, {"type": "cookie"})],
    ids=["poor", "value", "name", "store"],
)
def test_refused_option_shows_no_secret(secret: str, wrong: dict[str, Any], way: str) -> None:
    """Not in the error's text, and not in what an error report shows of the frames; nor a poor one, half of it."""
    with pytest.raises(ConfigError) as refused:
        ways_to_say(secret, **wrong)[WAYS.index(way)]()

    assert secret not in str(refused.value)
    assert frames_that_show(secret, refused.value) == []


@pytest.mark.interpreted
@pytest.mark.parametrize(
    "use", [lambda session, _id: session["n"], lambda session, id: session.get_by_id(id)], ids=["read", "get_by_id"]
)
def test_outage_shows_no_secret(use: Callable[[SessionObject, str], object]) -> None:
    """Though libraries hand it over at each request."""
    store = FaultyStore(MemoryStore())
    id = SessionManager(SECRET, store, cookie=Cookie(COOKIE)).login_cookie("ada")[1]
    session = SessionObject({"HTTP_COOKIE": f"{COOKIE}={id}"}, secret=SECRET, store=store)
    store.broken.add("load")

    with pytest.raises(StoreUnavailable) as outage:
        use(session, id)

    assert frames_that_show(SECRET, outage.value) == []


def test_paste_deploy_reads_the_ini_file(tmp_path: Path) -> None:
    """With the options that Beaker has there."""
    (tmp_path / "site.ini").write_text(
        dedent(f"""
        [app:main]
        paste.app_factory = {__name__}:paste_app
        filter-with = session

        [filter:session]
        paste.filter_app_factory = sessionware.contrib.beaker:session_filter_app_factory
        beaker.session.type = file
        beaker.session.data_dir = %(here)s/data
        beaker.session.key = shop
        beaker.session.secret = {SECRET}
        """)
    )
    browser = TestApp(loadapp(f"config:{tmp_path}/site.ini"))
    browser.get("/count")

    assert (browser.get("/count").text, list(browser.cookies)) == ("2", ["shop"])


def paste_app(_global_conf: dict[str, str], **_settings: str) -> Any:
    return serve(count=count)


# Libraries that import from Beaker ----------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our classes in Beaker's place, until the test is over."""
    for module in (beaker.session, beaker.middleware):
        for name in ("Session", "SessionObject", "CookieSession", "SessionMiddleware"):
            if name in vars(module):
                monkeypatch.setattr(module, name, vars(module)[name])
    install()


@pytest.mark.usefixtures("installed")
def test_installed_classes_are_what_is_imported_from_beaker() -> None:
    """Each under its own name. Installing them again does no harm."""
    install()
    session, middleware = beaker.session, beaker.middleware

    assert (session.Session, session.SessionObject, session.CookieSession) == (Session, SessionObject, CookieSession)
    assert (middleware.SessionMiddleware, middleware.SessionObject) == (SessionMiddleware, SessionObject)
    site = middleware.session_filter_app_factory(serve(), {}, secret=SECRET)
    assert isinstance(site.manager, SessionManager)


@pytest.mark.parametrize("name", ["", " as BeakerSession"], ids=["name", "other name"])
def test_installing_too_late_is_an_error(name: str, tmp_path: Path) -> None:
    """A library that has Beaker's own classes by then would go on using them, under whatever name."""
    (tmp_path / "library.py").write_text(f"from beaker.session import SessionObject{name}\n")
    program = "import library; from sessionware.contrib.beaker import install; install()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert "ConfigError: library was already imported, with Beaker's own sessions" in done.stderr


def test_library_does_what_the_middleware_does() -> None:
    """It makes the session of the environ and the options, persists it, and sends what is left in `_headers`."""
    store = MemoryStore()

    def library(environ: dict[str, Any]) -> tuple[int, str | None]:
        session = SessionObject(environ, secret=SECRET, store=store, auto=False)
        n = count(session)
        assert session.dirty()
        session.persist()
        headers = session.__dict__["_headers"]
        return n, headers["cookie_out"] if headers["set_cookie"] else None

    n, line = library({"wsgi.url_scheme": "http"})
    assert (n, str(line).partition("=")[0]) == (1, COOKIE)
    cookie = str(line).partition(";")[0]
    assert library({"wsgi.url_scheme": "http", "HTTP_COOKIE": cookie}) == (2, None)


def test_write_after_a_library_has_persisted_the_session_is_an_error() -> None:
    """The headers are out, so it would be lost without a word."""
    environ: dict[str, Any] = {"wsgi.url_scheme": "http"}
    session = SessionObject(environ, secret=SECRET, store=MemoryStore())
    count(session)
    session.persist()

    with pytest.raises(SessionClosed):
        get_session(environ)["n"] = 2


def test_login_beneath_a_library_is_saved_though_its_session_was_not_touched() -> None:
    """A library persists only a session of which `accessed()` is true."""
    environ: dict[str, Any] = {"wsgi.url_scheme": "http"}
    session = SessionObject(environ, secret=SECRET, store=MemoryStore())
    before = session.accessed()
    get_session(environ).username = "ada"
    assert (before, session.accessed(), session.dirty()) == (False, True, False)

    session.persist()
    assert session.__dict__["_headers"]["set_cookie"]


def test_session_made_of_a_cookie_header_says_what_to_write() -> None:
    """Beaker's `Session(request)` reads the cookie there; ours is opened by its id."""
    with pytest.raises(ConfigError, match=r"write SessionObject\(environ, \*\*options\)"):
        Session({"cookie": f"{COOKIE}=x"}, secret=SECRET)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("is_wrapped", [False, True], ids=["alone", "wrapped"])
def test_turbogears_keeps_its_sessions(is_wrapped: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`tg.session`, with the options in its configuration. The middleware around it has the same sessions."""
    from tg import MinimalApplicationConfigurator, TGController, expose
    from tg import session as tg_session
    from tg.configurator.components.session import SessionConfigurationComponent

    class Root(TGController):  # type: ignore[misc]
        @expose()  # type: ignore[untyped-decorator]
        def index(self) -> str:
            tg_session["n"] = tg_session.get("n", 0) + 1
            tg_session.save()
            return str(tg_session["n"])

    options: dict[str, Any] = {"session.secret": SECRET, "session.key": "shop", "session.data_dir": str(tmp_path)}
    options["session.enabled"] = True  # which is TurboGears' own
    configurator = MinimalApplicationConfigurator()
    configurator.register(SessionConfigurationComponent)
    configurator.update_blueprint({"root_controller": Root(), **options})
    app = configurator.make_wsgi_app()
    browser = TestApp(SessionMiddleware(app, options) if is_wrapped else app)

    answers = [browser.get("/") for _ in range(3)]
    assert [answer.text for answer in answers] == ["1", "2", "3"]
    assert [len(answer.headers.getall("Set-Cookie")) for answer in answers] == [1, 0, 0]
    assert list(browser.cookies) == ["shop"]
    assert "SessionMiddleware twice" not in caplog.text


def test_adapter_does_not_need_beaker() -> None:
    """Only `install()` does."""
    program = "import sys, sessionware.contrib.beaker; print('beaker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "False"
