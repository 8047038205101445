"""Two toy frameworks on `SessionManager.open`, with public names alone: what an adapter needs is there.

The first hands on an environ, as Flask and Pyramid do. The second has a cookie's value only, as Django's session engine
does. Each is about thirty lines, and shows every call that an adapter makes.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.validate import validator

import pytest
from webtest import TestApp

from sessionware import (
    Cookie,
    CrossOriginRefused,
    Event,
    MemoryStore,
    Opened,
    Session,
    SessionClosed,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
    get_session,
)
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers
from sessionware.testing import FaultyStore
from tests.support.fixed import SECRET, Clock

View = Callable[[Session], object]


# A framework with an environ ----------------------------------------------------------------------------------------


class EnvironFramework:
    """Routes by path. A view gets the session and returns a text, an exception's status, or an iterator of chunks."""

    def __init__(self, manager: SessionManager, **views: View) -> None:
        self.manager = manager
        self.views = views

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        opened = self.manager.open(environ)
        status = HTTPStatus.OK
        try:
            result = self.views[environ["PATH_INFO"].strip("/")](opened.session)
            opened.finish()
        except StoreUnavailable:
            status, result = HTTPStatus.SERVICE_UNAVAILABLE, "try again"
        except ZeroDivisionError:
            status, result = HTTPStatus.INTERNAL_SERVER_ERROR, "oops"
            opened.finish(failed=True)
        headers = opened.headers([("Content-Type", "text/plain")])
        start_response(f"{status.value} {status.phrase}", headers)
        return self.body(opened, result)

    @staticmethod
    def body(opened: Opened, result: Any) -> Iterator[bytes]:
        is_through = False
        try:
            for chunk in [result] if isinstance(result, str) else result:
                yield str(chunk).encode()
            is_through = True
        finally:
            opened.close(failed=not is_through)


# A framework with a cookie's value ----------------------------------------------------------------------------------


class Reply(NamedTuple):
    """What the framework sends, and what it does with its cookie."""

    result: object
    cookie: str | None
    varies: bool


class CookieFramework:
    """Has no environ: it calls a view with a session, and takes care of its own cookie."""

    def __init__(self, manager: SessionManager) -> None:
        self.manager = manager
        self.cookie: str | None = None

    def request(self, view: View, *, failed: bool = False) -> Reply:
        opened = self.manager.open(cookie=self.cookie)
        try:
            result = view(opened.session)
            opened.finish(failed=failed)
        finally:
            self.cookie = opened.cookie
            opened.close(failed=failed)
        return Reply(result, self.cookie, opened.accessed)


# The tests ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def manager(store: FaultyStore, clock: Clock, events: list[Event]) -> SessionManager:
    return SessionManager(SECRET, store, clock=clock, on_event=events.append)


@pytest.fixture
def browser(manager: SessionManager) -> TestApp:
    framework = EnvironFramework(
        manager,
        untouched=lambda _session: "hello",
        write=lambda session: session.update(n=session.get("n", 0) + 1) or "written",
        read=lambda session: str(session.get("n")),
        login=lambda session: session.login("ada") or "in",
        logout=lambda session: session.invalidate() or "out",
        who=lambda session: str(session.username),
        crash=lambda session: session.update(n=99) or str(1 // 0),
        late=_writes_late,
    )
    return TestApp(validator(framework))


def _writes_late(session: Session) -> Iterator[str]:
    before = session["n"]

    def chunks() -> Iterator[str]:
        yield "first"
        session["n"] = before + 10
        yield "last"

    return chunks()


def test_environ_framework_keeps_a_session(browser: TestApp) -> None:
    """Written, read, and told apart from a page that does not look."""
    untouched = browser.get("/untouched")
    browser.get("/write")
    read = browser.get("/read")

    assert "Vary" not in untouched.headers
    assert read.text == "1"
    assert read.headers["Vary"] == "Cookie"


def test_environ_framework_logs_in_and_out(browser: TestApp) -> None:
    """With a new token at the login, and no cookie after the logout."""
    browser.get("/write")
    before = browser.cookies["sid"]
    browser.get("/login")
    after = browser.cookies["sid"]

    assert before != after
    assert browser.get("/who").text == "ada"
    assert browser.get("/read").text == "1"
    assert browser.get("/logout").headers["Set-Cookie"].startswith("sid=; ")
    assert browser.get("/who").text == "None"


def test_environ_framework_saves_nothing_after_an_error(browser: TestApp, events: list[Event]) -> None:
    """Rule 11: the framework says that it failed, and the dropped key is named."""
    browser.get("/write")
    browser.get("/crash", status=500)

    assert browser.get("/read").text == "1"
    assert [event.keys for event in events if event.name == "session.write_discarded"] == [("n",)]


def test_environ_framework_saves_what_comes_late(browser: TestApp) -> None:
    """Rule 10: what a streamed body writes is saved when it is closed."""
    browser.get("/write")

    assert browser.get("/late").text == "firstlast"
    assert browser.get("/read").text == "11"


def test_environ_framework_tells_an_outage(browser: TestApp, store: FaultyStore) -> None:
    """Rule 12: no cookie is set or removed, and the session is there again afterwards."""
    browser.get("/write")
    store.broken.add("load")
    down = browser.get("/read", status=503)
    store.broken.clear()

    assert "Set-Cookie" not in down.headers
    assert browser.get("/read").text == "1"


def test_session_can_be_found_where_get_session_looks(manager: SessionManager) -> None:
    """So that libraries on top need not know the framework."""
    environ: dict[str, Any] = {}
    opened = manager.open(environ)

    assert get_session(environ) is opened.session
    assert opened.session.manager is manager


def test_session_that_is_under_way_is_handed_out(manager: SessionManager) -> None:
    """Inside a `SessionMiddleware` of the same site, the framework saves and sends nothing: that is done outside."""
    inner = EnvironFramework(manager, write=lambda session: str(session.modify("n", lambda n: n + 1, 0)))
    browser = TestApp(validator(manager.wrap(inner)))

    responses = [browser.get("/write"), browser.get("/write")]

    assert [response.text for response in responses] == ["1", "2"]
    assert [len(response.headers.getall("Set-Cookie")) for response in responses] == [1, 0]


def test_session_of_another_site_under_way_is_warned_of(
    manager: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Two secrets around one application are a mistake that nobody would see."""
    inner = EnvironFramework(manager, read=lambda session: str(session.get("n")))
    browser = TestApp(SessionMiddleware(inner, SECRET, MemoryStore()))

    browser.get("/read")
    browser.get("/read")

    assert [record.message.split(";")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "The application is wrapped in SessionMiddleware twice under 'sessionware.session'"
    ]


def test_cookie_framework_keeps_a_session(manager: SessionManager) -> None:
    """It is told which value the browser should have; nothing told means the value stays."""
    framework = CookieFramework(manager)

    nothing = framework.request(lambda session: session.get("n"))
    written = framework.request(lambda session: session.update(n=1))
    read = framework.request(lambda session: session["n"])

    assert nothing == (None, None, True)
    assert written.cookie is not None
    assert read == (1, written.cookie, True)


def test_cookie_framework_that_does_not_look_pays_nothing(manager: SessionManager, store: FaultyStore) -> None:
    """The cookie stays what it was, and no call is made."""
    framework = CookieFramework(manager)
    value = framework.request(lambda session: session.update(n=1)).cookie
    store.calls.clear()

    assert framework.request(lambda _session: None) == (None, value, False)
    assert store.calls == []


@pytest.mark.parametrize("value", ["", "no ticket", "x" * 64, "x\r\nSet-Cookie: evil=1", "ß" * 64, "x" * 1_000_000])
@pytest.mark.parametrize("view", [lambda session: None, lambda session: session.get("n")])
def test_what_is_no_ticket_is_never_handed_on(manager: SessionManager, value: str, view: View) -> None:
    """A framework sends `cookie` as it is, so nothing that a visitor made up may come out of it."""
    framework = CookieFramework(manager)
    framework.cookie = value

    assert framework.request(view).cookie is None


def test_cookie_is_the_one_that_fits_when_two_came(manager: SessionManager) -> None:
    """One from before a login and the one after it: the dead one must not be handed back to the browser."""
    framework = CookieFramework(manager)
    before = framework.request(lambda session: session.update(n=1)).cookie
    after = framework.request(lambda session: session.login("bob")).cookie
    opened = manager.open({"HTTP_COOKIE": f"sid={before}; sid={after}"})

    assert opened.session.username == "bob"
    assert opened.cookie == after


@pytest.mark.parametrize("end", [Opened.finish, Opened.close])
def test_session_that_nobody_looked_at_is_finished_without_a_word(
    manager: SessionManager, store: FaultyStore, end: Callable[[Opened], None], caplog: pytest.LogCaptureFixture
) -> None:
    """As an adapter does on every request."""
    for opened in (manager.open({}), manager.open(cookie=None)):
        end(opened)

    assert (store.calls, caplog.records) == ([], [])


def test_finish_never_opens_a_session_again(manager: SessionManager) -> None:
    """A write after the end is too late, whatever was called in between."""
    opened = manager.open()
    opened.session["n"] = 1
    opened.finish()
    opened.close()
    opened.finish()

    with pytest.raises(SessionClosed):
        opened.session["n"] = 2


def test_what_comes_after_a_failed_finish_makes_no_session(manager: SessionManager, store: FaultyStore) -> None:
    """Its cookie would never be sent: an error page that flashes a message is told that it is too late."""
    opened = manager.open()
    opened.session["n"] = 1
    store.broken.add("create")
    with pytest.raises(StoreUnavailable):
        opened.finish()
    store.broken.clear()

    with pytest.raises(SessionClosed):
        opened.session["flash"] = "sorry"
    opened.close()
    assert store.scan() == []


def test_environ_that_is_used_again_gets_a_session_of_its_own(manager: SessionManager) -> None:
    """As by a layer outside that passes one request down twice."""
    environ: dict[str, Any] = {}
    first = manager.open(environ)
    first.session["n"] = 1
    first.finish()
    first.close()
    second = manager.open(environ)
    second.session["n"] = 2
    second.finish()

    assert second.session is not first.session
    assert second.cookie is not None


def logged_in(manager: SessionManager) -> str:
    """The cookie of somebody who is logged in."""
    return manager.login_cookie("ada")[1]


def test_session_can_be_saved_more_than_once(manager: SessionManager) -> None:
    """By a framework that saves when a view says so: the request goes on, and may still log in."""
    opened = manager.open(cookie=None)
    opened.session["n"] = 1
    opened.save()
    first = opened.cookie
    opened.session.login("ada")
    opened.save()

    assert None not in (first, opened.cookie)
    assert first != opened.cookie
    assert manager.open(cookie=opened.cookie).session["n"] == 1


def test_session_that_was_only_read_is_due_after_an_hour(manager: SessionManager, clock: Clock) -> None:
    """And saving it extends its life."""
    cookie = logged_in(manager)
    end = manager.open(cookie=cookie).session.expires_at
    clock.tick(3599)
    early = manager.open(cookie=cookie)
    clock.tick(1)
    opened = manager.open(cookie=cookie)

    assert not opened.is_due  # nobody has looked
    assert (early.session.username, opened.session.username) == ("ada", "ada")
    assert opened.is_due
    assert not opened.modified
    opened.save()
    assert not opened.is_due
    assert opened.has_new_cookie
    assert end is not None
    assert manager.open(cookie=cookie).session.expires_at == end + 3600


def test_session_in_an_environ_is_kept_alive_without_a_cookie(manager: SessionManager, clock: Clock) -> None:
    """Where our own header keeps the cookie, it stays as it is."""
    cookie = logged_in(manager)
    clock.tick(3600)
    opened = manager.open({"HTTP_COOKIE": f"sid={cookie}"})
    assert opened.session.username == "ada"
    end = opened.session.expires_at
    opened.save()

    assert (opened.has_new_cookie, opened.modified) == (False, False)
    assert end is not None
    assert manager.open(cookie=cookie).session.expires_at == end + 3600


def test_session_that_was_written_is_not_due(store: FaultyStore, clock: Clock) -> None:
    """Also if an old secret had sealed its cookie, which has been answered by then."""
    cookie = logged_in(SessionManager(SECRET, store, clock=clock))
    opened = SessionManager([SECRET[::-1], SECRET], store, clock=clock).open(cookie=cookie)
    opened.session["n"] = 1
    assert opened.is_due
    opened.save()

    assert not opened.is_due


def test_session_that_somebody_has_logged_in_to_meanwhile_is_not_prolonged(
    manager: SessionManager, clock: Clock, events: list[Event]
) -> None:
    """And a framework that sends the cookie itself is told to send none, which would replace the one from the login."""
    cookie = logged_in(manager)
    clock.tick(3600)
    reader, login = manager.open(cookie=cookie), manager.open(cookie=cookie)
    assert reader.session.username == "ada"
    login.session.login("ada")
    login.finish()
    events.clear()
    reader.save()

    assert (reader.has_new_cookie, reader.modified, login.has_new_cookie) == (False, False, True)
    assert events == []


def test_session_is_not_due_for_a_passive_request(manager: SessionManager, clock: Clock) -> None:
    """Rule 14: what a script sends by itself prolongs nothing."""
    cookie = logged_in(manager)
    clock.tick(3600)
    opened = manager.open(cookie=cookie)
    opened.session.keep_alive = False

    assert opened.session.username == "ada"
    assert not opened.is_due


def test_framework_can_ask_whether_the_store_failed(manager: SessionManager, store: FaultyStore) -> None:
    """While reading and while saving, though the application has hidden it."""
    cookie = logged_in(manager)
    reading, saving, unused = (manager.open(cookie=cookie) for _ in range(3))
    saving.session["n"] = 2
    assert not saving.has_outage
    store.broken.update(("load", "replace"))
    with suppress(StoreUnavailable):
        reading.session.get("n")
    with suppress(StoreUnavailable):
        saving.finish()
    unused.finish()

    assert [opened.has_outage for opened in (reading, saving, unused)] == [True, True, False]


def test_ended_session_counts_as_modified(manager: SessionManager) -> None:
    """The cookie has to go."""
    framework = CookieFramework(manager)
    framework.request(lambda session: session.login("ada"))
    opened = manager.open(cookie=framework.cookie)
    opened.session.invalidate()

    assert opened.modified


@pytest.mark.parametrize("wrong", [{"environ": "x"}, {"environ": object()}, {"cookie": b"x" * 64}, {"cookie": 5}])
def test_open_says_what_it_takes(manager: SessionManager, wrong: dict[str, Any]) -> None:
    """Now, and not at the first look."""
    with pytest.raises(TypeError, match="a WSGI environ, which is a dict"):
        manager.open(**wrong)


def test_cookie_framework_logs_in_and_out(manager: SessionManager) -> None:
    """The cookie from before the login is worth nothing afterwards; after a logout there is none."""
    framework = CookieFramework(manager)
    framework.request(lambda session: session.update(n=1))
    before = framework.cookie
    framework.request(lambda session: session.login("ada"))
    thief = CookieFramework(manager)
    thief.cookie = before

    assert framework.request(lambda session: (session.username, session["n"])).result == ("ada", 1)
    assert thief.request(lambda session: (session.username, session.get("n"))).result == (None, None)
    assert framework.request(lambda session: session.invalidate()).cookie is None


def test_cookie_framework_learns_the_new_value_by_commit(manager: SessionManager) -> None:
    """Django asks for its session key in the middle of a request."""
    opened = manager.open()
    opened.session["n"] = 1
    before = opened.cookie
    opened.session.commit()

    assert before is None
    assert opened.cookie is not None
    assert manager.open(cookie=opened.cookie).session["n"] == 1


def test_token_that_was_written_is_told_though_the_rest_fails(manager: SessionManager, store: FaultyStore) -> None:
    """Rule 6: after a login that was saved by hand, the old cookie is worth nothing, so the new one must go out."""
    opened = manager.open()
    opened.session.login("ada")
    opened.session.commit()
    opened.session["n"] = 1
    store.broken.add("replace")

    with pytest.raises(StoreUnavailable):
        opened.finish()
    store.broken.clear()
    assert manager.open(cookie=opened.cookie).session.username == "ada"


def test_loaded_data_can_be_read_afterwards(manager: SessionManager) -> None:
    """Test clients look at a session when its response is out; writing it is too late."""
    framework = CookieFramework(manager)
    framework.request(lambda session: session.update(n=1))
    opened = manager.open(cookie=framework.cookie)
    assert opened.session["n"] == 1
    opened.finish()
    opened.close()

    assert opened.session["n"] == 1
    assert opened.cookie == framework.cookie
    with pytest.raises(SessionClosed):
        opened.session["n"] = 2


def test_modified_says_whether_there_is_something_to_save(manager: SessionManager) -> None:
    """Looking is not a change, and neither is an equal value; what was committed counts."""
    framework = CookieFramework(manager)
    framework.request(lambda session: session.update(n=[1]))
    opened = manager.open(cookie=framework.cookie)

    stages = [opened.modified]
    opened.session.get("n")
    stages.append(opened.modified)
    opened.session["n"] = [1]
    stages.append(opened.modified)
    opened.session["n"].append(2)
    stages.append(opened.modified)
    opened.session.commit()
    stages.append(opened.modified)

    assert stages == [False, False, False, True, True]


def test_value_alone_is_sealed_for_the_plain_name(clock: Clock) -> None:
    """It opens in a request that brings it as `Cookie.name`, and not as `__Host-` of it."""
    manager = SessionManager(SECRET, cookie=Cookie(name="shop", secure=False), clock=clock)
    framework = CookieFramework(manager)
    value = framework.request(lambda session: session.update(n=1)).cookie

    def seen(header: str, scheme: str) -> object:
        return manager.open({"HTTP_COOKIE": header, "wsgi.url_scheme": scheme}).session.get("n")

    assert seen(f"shop={value}", "http") == 1
    assert seen(f"__Host-shop={value}", "https") is None


def test_open_takes_one_of_the_two(manager: SessionManager) -> None:
    """An environ brings its own cookie."""
    with pytest.raises(TypeError, match="not both"):
        manager.open({}, cookie="x")


def test_toy_adapters_need_nothing_private() -> None:
    """No import but from `sessionware` and its public packages, and no name that begins with an underscore."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert {name for name in modules if name and name.startswith("sessionware")} == {
        "sessionware",
        "sessionware.auth",
        "sessionware.testing",
    }
    assert not {name for name in attributes if name.startswith("_")}


@pytest.mark.parametrize("framework", [EnvironFramework, CookieFramework])
def test_toy_adapters_are_short(framework: type) -> None:
    """Whoever writes an adapter for a framework of their own can read one first."""
    assert len(inspect.getsource(framework).splitlines()) < 60


# A framework whose session object carries ours ---------------------------------------------------------------------


class SessionOfFramework(NamedTuple):
    """Django's engine makes its session from a cookie's value, so ours cannot be in an environ."""

    sessionware: Session


class RequestOfFramework(NamedTuple):
    META: dict[str, Any]
    session: SessionOfFramework


@pytest.fixture
def carrying(manager: SessionManager) -> RequestOfFramework:
    environ = {"REQUEST_METHOD": "POST", "REMOTE_ADDR": "192.0.2.7"}
    return RequestOfFramework(environ, SessionOfFramework(manager.open(cookie=None).session))


def test_session_is_found_on_the_frameworks_own(carrying: RequestOfFramework) -> None:
    """As `.sessionware`, where there is none in the environ."""
    assert get_session(carrying) is carrying.session.sessionware


def test_auth_works_on_the_frameworks_session(carrying: RequestOfFramework, events: list[Event]) -> None:
    """Registering, logging out and asking who it is; events name the address that the environ has."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    ada = auth.register(carrying, "Ada", "seven quiet lanterns drift")

    assert auth.user(carrying) == ada
    assert [event.client_address for event in events if event.name == "login.succeeded"] == ["192.0.2.7"]
    auth.logout(carrying)
    assert auth.user(carrying) is None


def test_auth_refuses_a_get_of_such_a_framework(carrying: RequestOfFramework) -> None:
    """The method is in the environ."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    carrying.META["REQUEST_METHOD"] = "GET"

    with pytest.raises(CrossOriginRefused):
        auth.login(carrying, "Ada", "seven quiet lanterns drift")
