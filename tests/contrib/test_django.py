"""Django's `request.session` on `sessionware.contrib.django`: Django's own middleware, logins, messages and client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.auth import authenticate, get_user_model, login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core.management import call_command
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.utils import timezone
from webtest import TestApp, TestResponse

import dev
from sessionware import (
    ConfigError,
    Event,
    MemoryStore,
    Timeouts,
    get_session,
)
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers
from sessionware.contrib.django import SessionStore, get_manager
from sessionware.testing import FaultyStore
from tests.project.pages import blocks
from tests.support.django_site import MIDDLEWARE, browser, configured, serve, settings_of
from tests.support.fixed import SECRET, Clock
from tests.support.parallel import Meeting, lost_writes

HOUR, DAY = 3600, 24 * 3600
PASSWORD = "seven quiet lanterns drift"
OTHER_SECRET = "another horse, another battery, and a staple besides"


@pytest.fixture(scope="module", autouse=True)
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with configured(**settings_of(tmp_path_factory.mktemp("django"))):
        for name in ("ada", "bob"):
            get_user_model().objects.create_superuser(name, password=PASSWORD)
        yield


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture(autouse=True)
def store(clock: Clock, events: list[Event]) -> Iterator[FaultyStore]:
    store = FaultyStore(MemoryStore())
    with override_settings(SESSIONWARE={"store": store, "clock": clock, "on_event": events.append}):
        yield store


def write(request: Any) -> str:
    for key, value in request.GET.items():
        request.session[key] = value
    return "written"


def read(request: Any) -> str:
    return ",".join(sorted(f"{key}={value}" for key, value in request.session.items() if not key.startswith("_")))


def log_in(request: Any) -> str:
    login(request, authenticate(request, username=request.GET["name"], password=PASSWORD))
    return "in"


def log_out(request: Any) -> str:
    logout(request)
    return "out"


VIEWS: dict[str, Any] = {
    "write": write,
    "read": read,
    "in": log_in,
    "out": log_out,
    "who": lambda request: request.user.get_username(),
    "untouched": lambda request: "hello",
}


@pytest.fixture
def visitor() -> TestApp:
    return browser(**VIEWS)


def copied(visitor: TestApp) -> TestApp:
    """Somebody with the same cookie."""
    other = TestApp(visitor.app)
    other.set_cookie("sessionid", visitor.cookies["sessionid"])
    return other


def user_id(name: str) -> str:
    return str(get_user_model().objects.get(username=name).pk)


# A session


def test_what_is_written_is_there_in_the_next_request(visitor: TestApp) -> None:
    """The cookie is Django's, and its value ours."""
    cookie = visitor.get("/write?tea=green").headers["Set-Cookie"]

    assert visitor.get("/read").text == "tea=green"
    assert len(visitor.cookies["sessionid"]) == 64
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_page_that_does_not_touch_the_session_asks_for_nothing(visitor: TestApp, store: FaultyStore) -> None:
    """No call of the store, and no header."""
    visitor.get("/write?tea=green")
    store.broken |= {"load", "replace", "touch", "create"}

    response = visitor.get("/untouched")

    assert "Vary" not in response.headers
    assert "Set-Cookie" not in response.headers


def test_page_that_reads_varies_on_the_cookie(visitor: TestApp) -> None:
    """And sets none, because there is nothing to store."""
    response = visitor.get("/read")

    assert response.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in response.headers


def test_changes_inside_a_value_are_noticed() -> None:
    """Nobody has to say `modified = True`."""
    visitor = browser(
        put=lambda request: request.session.setdefault("cart", []),
        add=lambda request: request.session["cart"].append("tea"),
        read=lambda request: request.session["cart"],
    )
    visitor.get("/put")
    visitor.get("/add")

    assert visitor.get("/read").text == "['tea']"


def test_changes_are_noticed_after_a_pop_that_found_nothing() -> None:
    """Django then assigns `modified = False` itself, which is no wish to overlook what comes later."""

    def pop_and_add(request: Any) -> str:
        request.session.pop("nothing", None)
        request.session["cart"].append("tea")
        return "added"

    visitor = browser(
        put=lambda request: request.session.setdefault("cart", []),
        add=pop_and_add,
        read=lambda request: request.session["cart"],
    )
    visitor.get("/put")
    visitor.get("/add")

    assert visitor.get("/read").text == "['tea']"


def test_changes_inside_a_value_count_after_an_explicit_save() -> None:
    """Views that save, to have a key, go on with the lists that they have."""

    def save_and_add(request: Any) -> str:
        cart = request.session.setdefault("cart", [])
        request.session.save()
        cart.append("tea")
        return str(request.session.session_key)

    visitor = browser(add=save_and_add, read=lambda request: request.session["cart"])

    assert visitor.get("/add").text == visitor.cookies["sessionid"]
    assert visitor.get("/read").text == "['tea']"


def test_modified_set_to_false_saves_nothing() -> None:
    """Whoever says so after a change does not want it."""

    def take_back(request: Any) -> str:
        request.session["tea"] = "green"
        request.session.modified = False
        return "nothing"

    assert "Set-Cookie" not in browser(take=take_back).get("/take").headers


def test_cookie_goes_when_the_session_is_empty(visitor: TestApp) -> None:
    """After a logout, as Django does it."""
    visitor.get("/in?name=ada")

    assert 'sessionid=""; expires=Thu, 01 Jan 1970' in visitor.get("/out").headers.getall("Set-Cookie")[-1]


def test_cookie_of_another_engine_is_removed(visitor: TestApp) -> None:
    """It opens nothing, and its key is never adopted."""
    visitor.set_cookie("sessionid", "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6")

    assert "1970" in visitor.get("/read").headers["Set-Cookie"]


def test_cookie_of_a_process_with_a_newer_secret_stays(visitor: TestApp) -> None:
    """While a new secret is being rolled out, the processes that lack it log nobody out."""
    visitor.get("/write?tea=green")
    with override_settings(SECRET_KEY=OTHER_SECRET):
        response = visitor.get("/read")

    assert (response.text, "Set-Cookie" in response.headers) == ("", False)
    assert visitor.get("/read").text == "tea=green"


@pytest.mark.parametrize("cookie", ["newer", "x" * 64])
def test_saving_every_request_adopts_no_cookie(visitor: TestApp, store: FaultyStore, cookie: str) -> None:
    """Of a newer secret, or made up: it is left alone, and nothing is stored."""
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        with override_settings(SECRET_KEY=OTHER_SECRET):
            visitor.get("/write?tea=green")
        visitor.set_cookie("sessionid", visitor.cookies["sessionid"] if cookie == "newer" else cookie)
        store.calls.clear()

        assert "Set-Cookie" not in visitor.get("/untouched").headers
        assert "create" not in store.calls


def test_value_that_cannot_be_stored_is_refused_by_its_key() -> None:
    """Where it is assigned, and not when the response is made."""

    def assign(request: Any) -> str:
        with pytest.raises(TypeError, match=r"session\['tea'\] cannot hold"):
            request.session["tea"] = object()
        return "refused"

    assert browser(assign=assign).get("/assign").text == "refused"


def test_value_that_cannot_be_stored_inside_another_is_a_server_error(visitor: TestApp) -> None:
    """It is found when the session is about to be saved, and nothing of the request is."""
    visitor.app = serve(add=lambda request: request.session["cart"].append(object()), **VIEWS)
    session = SessionStore()
    session["cart"] = []
    session.save()
    visitor.set_cookie("sessionid", session.session_key)
    visitor.get("/add?tea=green", status=500)

    assert visitor.get("/read").text == "cart=[]"


def test_streamed_response_is_saved_before_its_first_chunk() -> None:
    """As with Django's own engines; what a chunk writes is lost with those too."""

    def stream(request: Any) -> Any:
        request.session["tea"] = "green"
        return StreamingHttpResponse(iter([b"first", b"last"]))

    visitor = browser(stream=stream, read=read)

    assert visitor.get("/stream").text == "firstlast"
    assert visitor.get("/read").text == "tea=green"


# Two requests at once


def meeting_site(meeting: Meeting) -> TestApp:
    def meet(request: Any) -> str:
        dict(request.session.items())
        meeting.wait()
        request.session[request.GET["key"]] = True
        return "written"

    return browser(meet=meet, **VIEWS)


def losses(visitor: TestApp) -> int:
    visitor.get("/write?tea=green")
    return lost_writes(
        lambda key: copied(visitor).get(f"/meet?key={key}"),
        lambda: {each.partition("=")[0] for each in visitor.get("/read").text.split(",")},
    )


def test_two_requests_at_once_lose_nothing() -> None:
    """Differences are saved, and not a copy: 0 of 200 writes are lost."""
    assert losses(meeting_site(Meeting())) == 0


@pytest.mark.parametrize("engine", ["cache", "db"])
def test_two_requests_at_once_lose_half_with_djangos_own_engines(engine: str) -> None:
    """The figure for the docs: each pair loses one of its two writes, because the second saves all that it has read."""
    with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"):
        assert losses(meeting_site(Meeting())) == 100


def test_request_that_writes_to_a_session_ended_meanwhile_is_a_400(visitor: TestApp) -> None:
    """Logged out stays logged out: Django's `SessionInterrupted`, and no cookie."""
    visitor.get("/in?name=ada")
    tab = copied(visitor)

    def write_after_the_logout(request: Any) -> str:
        dict(request.session.items())
        visitor.get("/out")
        request.session["tea"] = "green"
        return "never sent"

    tab.app = serve(late=write_after_the_logout, **VIEWS)
    response = tab.get("/late", status=400)

    assert "Set-Cookie" not in response.headers
    assert copied(tab).get("/who").text == ""


def test_login_form_sent_twice_leads_into_one_session(visitor: TestApp) -> None:
    """Whichever cookie the browser ends up with is good."""
    visitor.get("/write?tea=green")
    second_click = copied(visitor)
    visitor.get("/in?name=ada")
    second_click.get("/in?name=ada")

    assert [each.get("/who").text for each in (visitor, second_click)] == ["ada", "ada"]
    assert [each.get("/read").text for each in (visitor, second_click)] == ["tea=green", "tea=green"]
    assert len(get_manager().of(user_id=user_id("ada"))) == 1


def test_late_request_of_a_visitor_does_not_log_out_who_has_logged_in(visitor: TestApp) -> None:
    """It was sent with the cookie from before the login, so it gets no other."""
    visitor.get("/write?tea=green")
    late = copied(visitor)
    visitor.get("/in?name=ada")

    assert "Set-Cookie" not in late.get("/read").headers
    assert "Set-Cookie" not in late.get("/write?tea=black", status=400).headers


def meanwhile(act: Any) -> Any:
    """A page that reads the session, and ends after this has happened."""

    def slow(request: Any) -> str:
        who = str(request.user.get_username())
        act()
        return who

    return slow


@pytest.mark.parametrize("saves_every", [False, True])
@pytest.mark.parametrize(
    ("first", "wait"),
    [("/write?tea=green", 0), ("/in?name=ada", 2 * HOUR), ("/in?name=ada", 15 * DAY)],
    ids=["new", "due", "expired"],
)
def test_page_that_only_reads_replaces_no_cookie_of_a_login(
    visitor: TestApp, clock: Clock, saves_every: bool, first: str, wait: int
) -> None:
    """It is late with its answer, and would have prolonged the session that it knows, or removed its cookie."""
    with override_settings(SESSION_SAVE_EVERY_REQUEST=saves_every):
        visitor.get(first)
        clock.tick(wait)
        page = copied(visitor)
        page.app = serve(slow=meanwhile(lambda: visitor.get("/in?name=ada")), **VIEWS)

        assert "Set-Cookie" not in page.get("/slow").headers


def test_page_that_writes_sends_no_cookie_that_the_browser_has(visitor: TestApp) -> None:
    """For the same reason: it could arrive after the one of a login."""
    visitor.get("/write?tea=green")

    assert "Set-Cookie" not in visitor.get("/write?tea=black").headers


@pytest.mark.parametrize("moment", ["before", "after"])
def test_password_change_beside_another_page_keeps_its_session(visitor: TestApp, moment: str) -> None:
    """Whether that page sees the new password beside the old session, or the other way round."""
    get_user_model().objects.filter(username="liz").delete()
    get_user_model().objects.create_user("liz", password=PASSWORD)
    visitor.get("/in?name=liz")
    page = copied(visitor)

    def change(request: Any) -> str:
        from django.contrib.auth import update_session_auth_hash

        request.user.set_password("another " + PASSWORD)
        request.user.save()
        if moment == "before":
            page.get("/who")
        update_session_auth_hash(request, request.user)
        return "changed"

    def slow(request: Any) -> str:
        dict(request.session.items())
        visitor.get("/change")
        return str(request.user.get_username())

    visitor.app = page.app = serve(change=change, slow=slow, **VIEWS)
    if moment == "before":
        visitor.get("/change")
    else:
        page.get("/slow")

    assert visitor.get("/who").text == "liz"


def test_logout_wins_over_a_login_meanwhile(visitor: TestApp) -> None:
    """Whichever of them was first."""
    visitor.get("/in?name=ada")
    tab = copied(visitor)

    def slow_logout(request: Any) -> str:
        dict(request.session.items())
        visitor.get("/in?name=ada")
        logout(request)
        return "out"

    visitor.app = tab.app = serve(slow=slow_logout, **VIEWS)
    tab.get("/slow")

    assert visitor.get("/who").text == ""
    assert get_manager().of(user_id=user_id("ada")) == []


@pytest.mark.parametrize("before", ["/read", "/in?name=ada", "/in?name=bob"], ids=["visitor", "ada", "bob"])
def test_flush_after_a_login_in_the_same_request_drops_it(visitor: TestApp, before: str) -> None:
    """With the data of the visitor, or the user, from before."""

    def in_and_flush(request: Any) -> str:
        log_in(request)
        request.session.flush()
        return "flushed"

    visitor.app = serve(flush=in_and_flush, **VIEWS)
    visitor.get(before)
    visitor.get("/write?tea=green")
    thief = copied(visitor)
    visitor.get("/flush?name=ada")

    assert [each.get("/who").text + each.get("/read").text for each in (visitor, thief)] == ["", ""]


def test_session_lives_as_long_after_cycle_key(visitor: TestApp, clock: Clock) -> None:
    """Two weeks, also if somebody is logged in, for whom that is a login."""
    visitor.app = serve(cycle=lambda request: request.session.cycle_key(), **VIEWS)
    visitor.get("/in?name=ada")
    assert max_age(visitor.get("/cycle")) == str(14 * DAY)
    clock.tick(13 * DAY)

    assert visitor.get("/who").text == "ada"


def test_two_pages_at_once_after_a_rotation_of_the_secret(visitor: TestApp) -> None:
    """Django gives the session of each another key, to go with the new secret. The second one joins the first."""
    visitor.get("/in?name=ada")
    visitor.get("/write?tea=green")
    page = copied(visitor)

    def slow(request: Any) -> str:
        dict(request.session.items())
        visitor.get("/who")
        return str(request.user.get_username())

    with override_settings(SECRET_KEY=OTHER_SECRET, SECRET_KEY_FALLBACKS=[SECRET]):
        visitor.app = page.app = serve(slow=slow, **VIEWS)

        assert page.get("/slow").text == "ada"
        assert [each.get("/read").text for each in (visitor, page)] == ["tea=green", "tea=green"]


@pytest.mark.parametrize("saves_every", [False, True])
def test_who_was_logged_out_from_elsewhere_goes_on_as_a_stranger(visitor: TestApp, saves_every: bool) -> None:
    """At once: pages are shown, and what is put into the cart is there."""
    with override_settings(SESSION_SAVE_EVERY_REQUEST=saves_every):
        visitor.get("/in?name=ada")
        visitor.get("/write?milk=yes")
        get_manager().end_all(user_id=user_id("ada"))

        assert visitor.get("/who").text == ""
        visitor.get("/write?tea=green")
        assert visitor.get("/read").text == "tea=green"


# Who it is


def test_login_gives_the_session_an_owner(visitor: TestApp) -> None:
    """Nobody has to tell us: the signal of Django's `login` does."""
    visitor.get("/in?name=ada")
    other = browser(name=lambda request: get_session(request).username, **VIEWS)
    other.get("/in?name=ada")

    assert other.get("/name").text == "ada"
    assert len(get_manager().of(user_id=user_id("ada"))) == 2
    assert get_manager().end_all(user_id=user_id("ada")) == 2
    assert [each.get("/who").text for each in (visitor, other)] == ["", ""]


def test_login_changes_the_key_and_keeps_the_data(visitor: TestApp, clock: Clock) -> None:
    """Each one does, also of somebody who is logged in already (ASVS 5.0 7.2.4). The key before is worth nothing."""
    visitor.get("/write?tea=green")
    before = copied(visitor)
    visitor.get("/in?name=ada")
    between = copied(visitor)
    visitor.get("/in?name=ada")
    clock.tick(HOUR)

    assert visitor.get("/read").text == "tea=green"
    assert [each.get("/who").text for each in (visitor, before, between)] == ["ada", "", ""]


def test_login_costs_one_write(visitor: TestApp, store: FaultyStore) -> None:
    """The new key, the owner and Django's own keys are stored together."""
    visitor.get("/in?name=ada")
    assert store.calls == ["create"]
    store.calls.clear()
    visitor.get("/in?name=ada")

    assert store.calls == ["load", "replace"]


def test_login_of_somebody_else_begins_with_nothing(visitor: TestApp) -> None:
    """The cart was another person's."""
    visitor.get("/in?name=ada")
    visitor.get("/write?tea=green")
    visitor.get("/in?name=bob")

    assert visitor.get("/who").text == "bob"
    assert visitor.get("/read").text == ""
    assert get_manager().of(user_id=user_id("ada")) == []


def test_login_over_another_owner_keeps_djangos_own_keys() -> None:
    """Also where an application has removed `_auth_user_id` by hand, without a logout."""

    def forget_and_log_in(request: Any) -> str:
        del request.session["_auth_user_id"]
        return log_in(request)

    visitor = browser(swap=forget_and_log_in, **VIEWS)
    visitor.get("/in?name=ada")
    visitor.get("/swap?name=bob")

    assert visitor.get("/who").text == "bob"
    assert len(get_manager().of(user_id=user_id("bob"))) == 1


def test_login_of_another_kind_takes_no_session_over(visitor: TestApp) -> None:
    """Libraries send Django's signal also for logins by a token, which have nothing to do with the session."""

    def send(request: Any) -> str:
        user_logged_in.send(sender=None, request=request, user=get_user_model().objects.get(username="bob"))
        return get_session(request).username or "nobody"

    visitor.app = serve(token=send, **VIEWS)

    assert visitor.get("/token").text == "nobody"
    visitor.get("/in?name=ada")
    assert visitor.get("/token").text == "ada"


def test_session_that_is_given_a_user_by_hand_has_that_owner() -> None:
    """As scripts do that copy sessions from elsewhere."""
    session = SessionStore()
    session["_auth_user_id"] = "7"
    session.save()

    assert [info.id for info in get_manager().of(user_id="7")] == [session.sessionware.id]


def test_logout_ends_the_session_for_every_copy_of_its_cookie(visitor: TestApp) -> None:
    """`flush()` does, whoever is about to save it."""
    visitor.get("/in?name=ada")
    thief = copied(visitor)
    visitor.get("/out")

    assert thief.get("/who").text == ""


def test_flush_ends_a_visitors_session_too() -> None:
    """What the same view writes afterwards is in another one."""

    def flush(request: Any) -> str:
        request.session.flush()
        request.session["tea"] = "black"
        return "flushed"

    visitor = browser(flush=flush, **VIEWS)
    visitor.get("/write?tea=green&milk=yes")
    thief = copied(visitor)
    visitor.get("/flush")

    assert (visitor.get("/read").text, thief.get("/read").text) == ("tea=black", "")


def test_clear_of_a_session_somebody_is_logged_in_to_is_a_logout() -> None:
    """Django keeps the key; here there is nothing left that a copy of the cookie could open."""
    visitor = browser(clear=lambda request: request.session.clear(), **VIEWS)
    visitor.get("/in?name=ada")
    thief = copied(visitor)
    visitor.get("/clear")

    assert thief.get("/who").text == ""
    assert get_manager().of(user_id=user_id("ada")) == []


def test_password_change_keeps_this_session_and_ends_the_others(visitor: TestApp) -> None:
    """Django's own check of the password's hash does that."""
    get_user_model().objects.create_user("eve", password=PASSWORD)
    visitor.get("/in?name=eve")
    other = browser(**VIEWS)
    other.get("/in?name=eve")

    def change(request: Any) -> str:
        from django.contrib.auth import update_session_auth_hash

        request.user.set_password("another " + PASSWORD)
        request.user.save()
        update_session_auth_hash(request, request.user)
        return "changed"

    visitor.app = serve(change=change, **VIEWS)
    visitor.get("/change")

    assert [each.get("/who").text for each in (visitor, other)] == ["eve", ""]


def test_our_session_is_found_by_get_session_and_auth() -> None:
    """`Auth` and `modify` work in Django's views."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))
    visitor = browser(
        register=lambda request: auth.register(request, "ada", PASSWORD).username,
        who=lambda request: auth.require_user(request).username,
        count=lambda request: get_session(request).modify("visits", lambda n: n + 1, default=0),
        places=lambda request: len(auth.sessions(request)),
        out=lambda request: auth.logout(request),
    )
    visitor.post("/register")

    assert visitor.get("/who").text == "ada"
    assert [visitor.get("/count").text, visitor.get("/count").text] == ["1", "2"]
    assert visitor.get("/places").text == "1"
    assert "1970" in visitor.post("/out").headers["Set-Cookie"]


def test_events_of_auth_have_the_address(events: list[Event]) -> None:
    """It is in the request, of which Django tells its session nothing."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))
    visitor = browser(register=lambda request: auth.register(request, "ada", PASSWORD).username)
    visitor.post("/register", extra_environ={"REMOTE_ADDR": "192.0.2.7"})

    assert [event.client_address for event in events if event.name == "login.succeeded"] == ["192.0.2.7"]


# Errors


def test_server_error_saves_nothing_and_costs_nobody_the_session() -> None:
    """Also if the login that failed has asked for a new key."""

    def fail(request: Any) -> str:
        log_in(request)
        request.session["tea"] = "black"
        raise ZeroDivisionError

    visitor = browser(fail=fail, **VIEWS)
    visitor.get("/write?tea=green")
    response = visitor.get("/fail?name=ada", status=500)

    assert "sessionid" not in response.headers.get("Set-Cookie", "")
    assert visitor.get("/read").text == "tea=green"
    assert visitor.get("/who").text == ""


@pytest.mark.parametrize(("page", "call"), [("/read", "load"), ("/write?tea=black", "replace"), ("/out", "load")])
def test_outage_is_a_503_and_not_a_logout(visitor: TestApp, store: FaultyStore, page: str, call: str) -> None:
    """Whether the session could not be read, not saved or not ended."""
    visitor.get("/in?name=ada")
    visitor.get("/write?tea=green")
    store.broken.add(call)
    response = visitor.get(page, status=503)
    store.broken.clear()

    assert (response.headers["Retry-After"], response.headers["Cache-Control"]) == ("5", "no-store")
    assert response.text == "The service is unavailable for a moment. Please try again.\n"
    assert "Set-Cookie" not in response.headers
    assert visitor.get("/read").text == "tea=green"
    assert visitor.get("/who").text == "ada"


def test_outage_without_the_middleware_is_djangos_500(store: FaultyStore) -> None:
    """Nobody is logged out all the same."""
    with override_settings(MIDDLEWARE=MIDDLEWARE[1:]):
        visitor = browser(**VIEWS)
        visitor.get("/in?name=ada")
        store.broken.add("load")
        visitor.get("/read", status=500)
        store.broken.clear()

        assert visitor.get("/who").text == "ada"


def test_other_errors_stay_500(visitor: TestApp) -> None:
    """The 503 is for the store alone."""
    visitor.app = serve(fail=lambda request: 1 / 0)

    assert visitor.get("/fail", status=500).text.count("Server Error") == 2


def test_outage_is_a_503_also_if_the_page_for_errors_asks_the_session(
    visitor: TestApp, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a `handler500` does that shows the user's name."""
    from django.conf import settings

    visitor.get("/in?name=ada")
    visitor.app = serve(**VIEWS)

    def show_name(request: Any) -> HttpResponse:
        return HttpResponse(request.user.get_username(), status=500)

    monkeypatch.setattr(settings.ROOT_URLCONF, "handler500", show_name, raising=False)
    store.broken.add("load")

    assert visitor.get("/who", status=503).headers["Retry-After"] == "5"


def test_developers_see_the_error_itself(visitor: TestApp, store: FaultyStore) -> None:
    """With DEBUG, Django's page with the traceback is worth more than a 503."""
    visitor.get("/write?tea=green")
    store.broken.add("load")
    with override_settings(DEBUG=True):
        assert "StoreUnavailable" in visitor.get("/read", status=500)


def show_tea(request: Any) -> HttpResponse:
    return HttpResponse(request.session["tea"], status=500)


@pytest.mark.parametrize("handler", [None, show_tea])
def test_outage_in_an_async_view_is_a_503(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch, handler: Callable[[Any], HttpResponse] | None
) -> None:
    """Django runs its handlers of errors in another thread then, also one that asks the session."""
    from django.conf import settings

    if handler is not None:
        monkeypatch.setattr(settings.ROOT_URLCONF, "handler500", handler, raising=False)
    response = asyncio.run(visit_async(store, broken="load"))

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


async def visit_async(store: FaultyStore, *, broken: str) -> Any:
    from django.test import AsyncClient

    async def read_async(request: Any) -> HttpResponse:
        return HttpResponse(str(await request.session.aget("tea")))

    serve(read=lambda request: None)
    set_urls(read=read_async)
    client = AsyncClient(raise_request_exception=False)
    session = await client.asession()
    await session.aset("tea", "green")
    await session.asave()
    store.broken.add(broken)
    return await client.get("/read")


def set_urls(**views: Any) -> None:
    from django.conf import settings
    from django.urls import path

    settings.ROOT_URLCONF.urlpatterns = [path(name, view) for name, view in views.items()]


# How long it lives


def max_age(response: TestResponse) -> str | None:
    lines = [line.strip() for line in response.headers.getall("Set-Cookie")]
    cookie = next(line for line in lines if line.startswith("sessionid="))
    return next((part.partition("=")[2] for part in cookie.split("; ") if part.startswith("Max-Age=")), None)


def test_session_lives_two_weeks_after_its_last_use(visitor: TestApp, clock: Clock) -> None:
    """`SESSION_COOKIE_AGE`; a page that only reads counts as use."""
    assert max_age(visitor.get("/in?name=ada")) == str(14 * DAY)
    for _ in range(4):
        clock.tick(10 * DAY)
        assert visitor.get("/who").text == "ada"
    clock.tick(14 * DAY)

    assert visitor.get("/who").text == ""


def test_pages_that_read_send_the_cookie_at_most_once_an_hour(visitor: TestApp, clock: Clock) -> None:
    """With its two weeks anew, so that the browser keeps it for as long as there is something."""
    visitor.get("/in?name=ada")
    clock.tick(HOUR - 1)
    assert "Set-Cookie" not in visitor.get("/who").headers
    clock.tick(1)

    assert max_age(visitor.get("/who")) == str(14 * DAY)
    assert "Set-Cookie" not in visitor.get("/who").headers


def test_page_that_a_script_asks_for_keeps_nobody_logged_in(clock: Clock) -> None:
    """If its view says so."""

    def poll(request: Any) -> str:
        get_session(request).keep_alive = False
        return str(request.user.get_username())

    visitor = browser(poll=poll, **VIEWS)
    visitor.get("/in?name=ada")
    for _ in range(13):
        clock.tick(DAY)
        assert visitor.get("/poll").text == "ada"
    clock.tick(DAY)

    assert visitor.get("/poll").text == ""


def test_visitors_session_lives_as_long(visitor: TestApp, clock: Clock) -> None:
    """Once its cookie has come back; until then it ends after an hour, which keeps floods small."""
    assert max_age(visitor.get("/write?tea=green")) == str(14 * DAY)
    flood = browser(**VIEWS)
    flood.get("/write?tea=green")
    clock.tick(HOUR - 1)
    assert visitor.get("/read").text == "tea=green"
    clock.tick(13 * DAY)

    assert visitor.get("/read").text == "tea=green"
    assert flood.get("/read").text == ""


def test_session_that_ends_with_the_browser_has_the_usual_limits(clock: Clock) -> None:
    """`SESSION_EXPIRE_AT_BROWSER_CLOSE`: twelve hours after the last use, a page that only reads included."""
    with override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=True):
        visitor = browser(**VIEWS)
        assert max_age(visitor.get("/in?name=ada")) is None
        for _ in range(3):
            clock.tick(11 * HOUR)
            assert visitor.get("/who").text == "ada"
        clock.tick(12 * HOUR)

        assert visitor.get("/who").text == ""


def expiring(value: Any) -> TestApp:
    visitor = browser(expire=lambda request: request.session.set_expiry(value), **VIEWS)
    visitor.get("/in?name=ada")
    return visitor


def test_set_expiry_counts_from_the_last_use(clock: Clock) -> None:
    """So many seconds, for the cookie and for what is stored."""
    visitor = expiring(1000)
    assert max_age(visitor.get("/expire")) == "1000"
    for _ in range(3):
        clock.tick(900)
        assert visitor.get("/who").text == "ada"
    clock.tick(1000)

    assert visitor.get("/who").text == ""


def test_set_expiry_of_zero_ends_with_the_browser(clock: Clock) -> None:
    """And what is stored ends when nobody uses it for twelve hours."""
    visitor = expiring(0)
    assert max_age(visitor.get("/expire")) is None
    clock.tick(12 * HOUR)

    assert visitor.get("/who").text == ""


def test_set_expiry_of_none_goes_back_to_the_settings(clock: Clock) -> None:
    """Two weeks, whatever was asked for before."""
    visitor = expiring(1000)
    visitor.get("/expire")
    visitor.app = expiring(None).app

    assert max_age(visitor.get("/expire")) == str(14 * DAY)
    clock.tick(13 * DAY)
    assert visitor.get("/who").text == "ada"


def test_set_expiry_to_a_time_is_not_put_off_by_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session ends then, however active it is."""
    visitor, start = expiring(timedelta(seconds=1000)), timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: start)
    visitor.get("/expire")
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(seconds=999))
    assert visitor.get("/who").text == "ada"
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(seconds=1001))

    assert visitor.get("/who").text == ""


def test_set_expiry_takes_a_fraction(clock: Clock) -> None:
    """Of a second, which is left out."""
    assert max_age(expiring(1000.5).get("/expire")) == "1000"


def test_set_expiry_beyond_the_limit_is_refused() -> None:
    """A cookie that outlives its session would be a promise that nobody keeps."""
    with pytest.raises(ValueError, match=r"31536000 seconds at most.*Timeouts\(remember="):
        SessionStore().set_expiry(timedelta(days=366))


def test_refused_set_expiry_changes_nothing(clock: Clock) -> None:
    """Whoever catches the error has the session as it was, with the end that it had."""

    def ask_for_too_much(request: Any) -> str:
        with pytest.raises(ValueError, match="at most"):
            request.session.set_expiry(10**9)
        request.session["tea"] = "green"
        return str(request.session.get_expiry_age())

    visitor = expiring(1000)
    visitor.get("/expire")
    visitor.app = serve(refused=ask_for_too_much, **VIEWS)

    assert visitor.get("/refused").text == "1000"
    clock.tick(1000)
    assert visitor.get("/who").text == ""


@pytest.mark.parametrize("value", [0, None], ids=str)
def test_set_expiry_that_asks_for_no_time_is_never_beyond_the_limit(store: FaultyStore, value: int | None) -> None:
    """Whatever SESSION_COOKIE_AGE says, which counts for nothing where sessions end with the browser."""
    short = {"store": store, "timeouts": Timeouts(remember=DAY)}
    with override_settings(SESSIONWARE=short, SESSION_EXPIRE_AT_BROWSER_CLOSE=True):
        assert expiring(value).get("/expire").text == "None"


def test_saving_every_request_writes_once_an_hour(clock: Clock, store: FaultyStore) -> None:
    """`SESSION_SAVE_EVERY_REQUEST`: pages that do not look at the session keep it alive, too."""
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        visitor = browser(**VIEWS)
        visitor.get("/in?name=ada")
        store.calls.clear()
        for _ in range(3):
            assert "Set-Cookie" not in visitor.get("/untouched").headers
            clock.tick(HOUR // 3)

        assert max_age(visitor.get("/untouched")) == str(14 * DAY)
        assert [call for call in store.calls if call != "load"] == ["replace"]


def test_saving_every_request_stores_nothing_for_a_stranger() -> None:
    """Who has no session is given none."""
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        assert "Set-Cookie" not in browser(**VIEWS).get("/untouched").headers


def test_session_may_live_for_years(clock: Clock) -> None:
    """If SESSION_COOKIE_AGE says so."""
    with override_settings(SESSION_COOKIE_AGE=800 * DAY):
        visitor = browser(**VIEWS)
        assert max_age(visitor.get("/in?name=ada")) == str(800 * DAY)
        clock.tick(799 * DAY)

        assert visitor.get("/who").text == "ada"


def test_visitor_who_keeps_coming_keeps_the_session(visitor: TestApp, clock: Clock) -> None:
    """For a year."""
    visitor.get("/write?tea=green")
    visitor.get("/read")
    for _ in range(30):
        clock.tick(12 * DAY)
        assert visitor.get("/read").text == "tea=green"


# Secrets and options


def test_secret_key_seals_and_its_fallbacks_still_open(visitor: TestApp) -> None:
    """What is read under an old one is sealed with the new one, so that the old one can go."""
    visitor.get("/write?tea=green")
    with override_settings(SECRET_KEY=OTHER_SECRET, SECRET_KEY_FALLBACKS=[SECRET]):
        assert "Set-Cookie" in visitor.get("/read").headers
    with override_settings(SECRET_KEY=OTHER_SECRET):
        assert visitor.get("/read").text == "tea=green"


def test_secret_of_its_own_takes_the_place_of_secret_key(visitor: TestApp, store: FaultyStore) -> None:
    """So sessions outlive a change of SECRET_KEY."""
    with override_settings(SESSIONWARE={"store": store, "secret": OTHER_SECRET}):
        visitor.get("/write?tea=green")
        with override_settings(SECRET_KEY="another one, for all the rest of Django's signatures"):
            assert visitor.get("/read").text == "tea=green"


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"SECRET_KEY": "dev"}, r"SECRET_KEY cannot .* sessionware secret .* SESSIONWARE = "),
        ({"SECRET_KEY_FALLBACKS": ["dev"]}, r"SECRET_KEY_FALLBACKS cannot .* SESSIONWARE = "),
    ],
    ids=["key", "fallback"],
)
def test_poor_secret_is_refused(settings: dict[str, Any], advice: str) -> None:
    """With what to write, and also if it is an old one: whoever guesses it could open what it sealed."""
    with override_settings(**settings), pytest.raises(ConfigError, match=advice):
        get_manager()


def test_poor_secrets_of_djangos_are_none_of_ours_beside_one_of_our_own(store: FaultyStore) -> None:
    """Django may need them for other things."""
    own = {"store": store, "secret": OTHER_SECRET}
    with override_settings(SECRET_KEY="dev", SECRET_KEY_FALLBACKS=["older"], SESSIONWARE=own):
        visitor = browser(**VIEWS)
        visitor.get("/write?tea=green")

        assert visitor.get("/read").text == "tea=green"


def test_poor_secrets_will_do_while_debugging(visitor: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    """With one warning that says what to write. A fallback opens there what it sealed, as ever."""
    with override_settings(SECRET_KEY="dev", DEBUG=True):
        visitor.get("/write?tea=green")
        assert visitor.get("/read").text == "tea=green"
        (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    with override_settings(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["dev"], DEBUG=True):
        assert visitor.get("/read").text == "tea=green"

    assert (warning.name, "SESSIONWARE = " in warning.getMessage()) == ("sessionware", True)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"SESSIONWARE": None}, r'Write SESSIONWARE = {"store": SQLiteStore'),
        ({"SESSIONWARE": {}}, r'Write SESSIONWARE = {"store": SQLiteStore'),
        ({"SESSIONWARE": "memory://"}, r'Write SESSIONWARE = {"store": SQLiteStore'),
        ({"SESSIONWARE": {"store": MemoryStore(), "cookei": 1}}, "SESSIONWARE has cookei: there is no such option"),
        ({"SESSIONWARE": {"store": MemoryStore(), "cookie": 1}}, "SESSION_COOKIE_NAME"),
        ({"SESSIONWARE": {"store": "redsi://localhost"}}, "redsi"),
        ({"SESSION_COOKIE_NAME": "session id"}, "session id"),
        (
            {"SESSIONWARE": {"store": MemoryStore(), "timeouts": Timeouts(remember=DAY)}},
            r"SESSION_COOKIE_AGE = 1209600, but .* 86400 .* SESSION_COOKIE_AGE = 86400, or",
        ),
    ],
    ids=["none", "empty", "text", "misspelt", "cookie", "url", "name", "age"],
)
def test_wrong_settings_are_told_with_what_to_write(settings: dict[str, Any], advice: str) -> None:
    """When the server starts: the engine is imported by then."""
    with override_settings(**settings), pytest.raises(ConfigError, match=advice):
        get_manager()


def test_store_may_be_a_url() -> None:
    """Opened once, also if settings change."""
    with override_settings(SESSIONWARE={"store": "memory://"}):
        visitor = browser(**VIEWS)
        visitor.get("/write?tea=green")
        with override_settings(SESSION_COOKIE_AGE=DAY):
            assert visitor.get("/read").text == "tea=green"


def test_prefix_in_the_name_of_the_cookie_is_djangos_business() -> None:
    """Browsers look at it; the value is sealed without."""
    with override_settings(SESSION_COOKIE_NAME="__Host-sessionid", SESSION_COOKIE_SECURE=True):
        cookie = browser(**VIEWS).get("/write?tea=green").headers["Set-Cookie"]

    assert cookie.strip().startswith("__Host-sessionid=")


START = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY="dev", SESSION_ENGINE="sessionware.contrib.django", SESSIONWARE={},
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"])
from django.core.wsgi import get_wsgi_application
get_wsgi_application()
"""


def test_wrong_settings_stop_the_server_when_it_starts() -> None:
    """And not its first visitor."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True)

    assert done.stderr.splitlines()[-1].startswith("sessionware.errors.ConfigError: Write SESSIONWARE")


@pytest.mark.parametrize(
    "code", ["import sessionware.contrib.django", "import sessionware, sys; 'django' in sys.modules and 1/0"]
)
def test_importing_asks_for_nothing(code: str) -> None:
    """The engine needs no settings to be imported, and the library no Django."""
    subprocess.run([sys.executable, "-c", code], check=True)


# The rest of Django


@pytest.mark.parametrize("storage", ["session.SessionStorage", "fallback.FallbackStorage"])
def test_messages_are_shown_once(storage: str) -> None:
    """By either of Django's storages that use the session."""

    def show(request: Any) -> str:
        return ",".join(str(message) for message in messages.get_messages(request))

    def leave(request: Any) -> str:
        messages.success(request, "x" * 5000)  # too long for a cookie
        return "left"

    with override_settings(MESSAGE_STORAGE=f"django.contrib.messages.storage.{storage}"):
        visitor = browser(leave=leave, show=show)
        visitor.get("/leave")

        assert [visitor.get("/show").text, visitor.get("/show").text] == ["x" * 5000, ""]


@pytest.mark.parametrize("in_session", [True, False])
def test_admin_is_entered_by_its_form(in_session: bool) -> None:
    """With Django's CSRF token in the session, or in its cookie."""
    from django.contrib import admin
    from django.urls import path

    with override_settings(CSRF_USE_SESSIONS=in_session):
        visitor = browser()
        from django.conf import settings

        settings.ROOT_URLCONF.urlpatterns = [path("admin/", admin.site.urls)]
        form = visitor.get("/admin/").follow().form
        visitor.post("/admin/login/", {"username": "ada", "password": PASSWORD}, status=403)
        form["username"], form["password"] = "ada", PASSWORD

        assert "Site administration" in form.submit().follow()


def test_form_of_a_visitor_is_good_after_hours(clock: Clock) -> None:
    """With `CSRF_USE_SESSIONS`, the first page stores a session, which must not end before the form is sent."""
    from django.conf import settings
    from django.contrib import admin
    from django.urls import path

    with override_settings(CSRF_USE_SESSIONS=True):
        visitor = browser()
        settings.ROOT_URLCONF.urlpatterns = [path("admin/", admin.site.urls)]
        form = visitor.get("/admin/login/").form
        clock.tick(5 * HOUR)
        form["username"], form["password"] = "ada", PASSWORD

        assert form.submit().status_code == 302


def test_test_client_logs_in_and_reads_and_writes_the_session() -> None:
    """`login`, `force_login`, `session` and `logout`."""
    serve(**VIEWS, private=login_required(lambda request: HttpResponse(request.user.get_username())))
    client = Client()
    assert client.login(username="ada", password=PASSWORD)
    session = client.session
    session["tea"] = "green"
    session.save()

    assert client.get("/private").content == b"ada"
    assert client.get("/read").content == b"tea=green"
    client.logout()
    assert client.get("/who").content == b""
    client.force_login(get_user_model().objects.get(username="bob"))
    assert client.get("/who").content == b"bob"
    assert len(get_manager().of(user_id=user_id("bob"))) == 1


def test_session_can_be_read_after_the_response() -> None:
    """Tests do so, by the request that the client kept."""
    serve(**VIEWS)
    request = Client().get("/write?tea=green").wsgi_request

    assert request.session["tea"] == "green"
    assert SessionStore(request.session.session_key)["tea"] == "green"


def test_clearsessions_removes_what_has_expired(clock: Clock) -> None:
    """Django's command, for a cron job."""
    for seconds in (10, 1000):
        session = SessionStore()
        session["tea"] = "green"
        session.set_expiry(seconds)
        session.save()
    clock.tick(500)
    call_command("clearsessions")

    assert {name: get_manager().stats()[name] for name in ("live", "expired")} == {"live": 1, "expired": 0}


def test_session_outside_a_request_is_found_by_its_key() -> None:
    """As scripts and shells use it."""
    session = SessionStore()
    session["tea"] = "green"
    session.create()
    again = SessionStore(session.session_key)

    assert again["tea"] == "green"
    assert again.exists(session.session_key)
    with pytest.raises(CreateError):
        again.save(must_create=True)
    again.delete()
    assert not again.exists(session.session_key)
    again["tea"] = "black"
    with pytest.raises(UpdateError):
        again.save()


def test_load_gives_what_is_stored() -> None:
    """Without changes that are not saved. A key that opens nothing is no key afterwards."""
    session = SessionStore()
    session["tea"] = "green"
    session.save()
    session["tea"] = "black"
    unknown = SessionStore("x" * 64)

    assert (session.load(), session["tea"]) == ({"tea": "green"}, "black")
    assert (unknown.load(), unknown.session_key) == ({}, None)


def test_cycle_key_gives_the_session_another_key() -> None:
    """At once, for whoever asks. The one before is no session's then, and the data stays."""
    session = SessionStore()
    session["tea"] = "green"
    session.save()
    before = session.session_key
    session.cycle_key()
    assert not session.exists(before)

    assert session.session_key != before
    assert SessionStore(session.session_key)["tea"] == "green"


def test_cycle_key_before_a_flush_makes_no_key() -> None:
    """There is nothing left that could have one."""
    session = SessionStore()
    session["tea"] = "green"
    session.save()
    session.cycle_key()
    session.flush()

    assert session.session_key is None


def test_create_keeps_the_end_that_set_expiry_gave(clock: Clock) -> None:
    """The other session is a copy in that, too."""
    session = SessionStore()
    session.set_expiry(1000)
    session.save()
    again = SessionStore(session.session_key)
    assert again.get_expiry_age() == 1000
    again.create()

    assert SessionStore(again.session_key).sessionware.expires_at == clock() + 1000


@pytest.mark.parametrize("method", ["clear", "create", "cycle_key", "flush"])
def test_what_changes_the_whole_session_counts_as_a_change(method: str) -> None:
    """Whatever was said of it before."""
    session = SessionStore()
    session["tea"] = "green"
    session.modified = False
    getattr(session, method)()

    assert session.modified


def off_the_loop() -> None:
    """Raise an error in the thread of an event loop."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


ASYNC: dict[str, Any] = {
    "aget": lambda session: session.aget("tea"),
    "aset": lambda session: session.aset("tea", "black"),
    "aload": lambda session: session.aload(),
    "aexists": lambda session: session.aexists(session.session_key),
    "aset_expiry": lambda session: session.aset_expiry(1000),
    "acycle_key": lambda session: session.acycle_key(),
    "aflush": lambda session: session.aflush(),
    "adelete": lambda session: session.adelete(),
    "asave": lambda session: session.asave(),
}


@pytest.mark.parametrize("name", ASYNC)
def test_async_methods_ask_the_store_in_another_thread(name: str, store: FaultyStore) -> None:
    """The event loop serves other requests meanwhile."""
    session = SessionStore()
    session["tea"] = "green"
    session.save()
    key, session = session.session_key, SessionStore(session.session_key)
    store.before = dict.fromkeys(("load", "replace", "delete"), off_the_loop)
    store.calls.clear()
    asyncio.run(ASYNC[name](session))
    store.before.clear()

    assert store.calls[0] == "load"
    assert (session.session_key != key) == (name in ("acycle_key", "aflush"))


# The pages

DOCS = dev.ROOT / "docs"


def code_of(page: str, needle: str) -> dict[str, Any]:
    """What the block of a page that has this in it defines."""
    (block,) = [each for each in blocks((DOCS / page).read_text(encoding="utf-8")) if needle in each.code]
    namespace: dict[str, Any] = {"__name__": page, "BASE_DIR": Path.cwd()}
    exec(compile(block.code, page, "exec"), namespace)
    return namespace


def test_settings_of_the_page_make_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand there."""
    monkeypatch.chdir(tmp_path)
    page = code_of("django.md", "SESSION_ENGINE = ")
    with override_settings(**{name: value for name, value in page.items() if name.isupper() and name != "BASE_DIR"}):
        visitor = browser(**VIEWS)
        visitor.get("/in?name=ada")

        assert visitor.get("/who").text == "ada"
        assert (tmp_path / "sessions.db").exists()


def test_page_logs_out_everywhere(visitor: TestApp) -> None:
    """By the view that it shows."""
    page = code_of("django.md", "def log_out_everywhere")
    other = browser(**VIEWS)
    other.get("/in?name=ada")
    page["redirect"] = lambda place: HttpResponse(place)
    visitor.app = serve(places=page["places"], end=page["log_out_everywhere"], **VIEWS)
    visitor.get("/in?name=ada")

    assert visitor.get("/places").text == "You are logged in at 2 places."
    visitor.post("/end")
    assert [each.get("/who").text for each in (visitor, other)] == ["", ""]


@pytest.fixture
def moved() -> Iterator[TestApp]:
    """Somebody who logged in, and filled a cart, when the site had Django's own engine. Now it moves sessions."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        visitor = browser(**VIEWS)
        visitor.get("/in?name=ada")
        visitor.get("/write?tea=green")
    moving.MoveOldSessions = code_of("coming-from-django-sessions.md", "class MoveOldSessions")["MoveOldSessions"]
    at = MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    with (
        pytest.MonkeyPatch.context() as patching,
        override_settings(MIDDLEWARE=[*MIDDLEWARE[:at], "moving.MoveOldSessions", *MIDDLEWARE[at:]]),
    ):
        patching.setitem(sys.modules, "moving", moving)
        visitor.app = serve(**VIEWS)
        yield visitor


moving: Any = ModuleType("moving")


def test_live_session_is_moved(moved: TestApp) -> None:
    """Whoever was logged in stays so, keeps the cart, and owns the new session."""
    assert moved.get("/who").text == "ada"
    assert moved.get("/read").text == "tea=green"
    assert len(moved.cookies["sessionid"]) == 64
    assert len(get_manager().of(user_id=user_id("ada"))) == 1


def test_live_session_is_moved_once(moved: TestApp) -> None:
    """A second request with the old cookie goes on with the same session."""
    late = copied(moved)
    moved.get("/write?milk=yes")

    assert late.get("/read").text == "milk=yes,tea=green"
    assert late.cookies["sessionid"] == moved.cookies["sessionid"]


def test_old_cookie_of_a_moved_session_is_dead_after_the_logout(moved: TestApp, clock: Clock) -> None:
    """At once and later."""
    thief = copied(moved)
    moved.get("/who")
    moved.get("/out")
    assert copied(thief).get("/who").text == ""
    clock.tick(HOUR)

    assert copied(thief).get("/who").text == ""


def test_cart_of_a_visitor_is_moved_for_as_long_as_it_was_kept(moved: TestApp, clock: Clock) -> None:
    """Also if nothing comes back for days after the page that moved it."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        visitor = browser(**VIEWS)
        visitor.get("/write?tea=green")
    visitor.app = serve(**VIEWS)
    visitor.get("/read")
    clock.tick(13 * DAY)

    assert visitor.get("/read").text == "tea=green"


def test_session_that_cannot_be_stored_is_left_behind(moved: TestApp, store: FaultyStore) -> None:
    """Its cookie goes, so that the site is there for its visitor, who logs in again."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        visitor = browser(**VIEWS)
        visitor.get("/write?tea=" + "x" * 2000)
    with override_settings(SESSIONWARE={"store": store, "max_bytes": 1024}):
        visitor.app = serve(**VIEWS)

        assert "1970" in visitor.get("/read").headers["Set-Cookie"]


def test_stranger_with_an_unknown_cookie_moves_nothing(moved: TestApp) -> None:
    """It is removed, as ever."""
    moved.set_cookie("sessionid", "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6")

    assert "1970" in moved.get("/who").headers["Set-Cookie"]


SIGN_IN = "cross-site-sign-in.md"


@pytest.fixture
def signing_in() -> TestApp:
    page = code_of(SIGN_IN, "signing.dumps")
    visitor = browser(out=page["set_out"], bounce=page["bounce"], who=VIEWS["who"])
    from django.conf import settings
    from django.urls import path

    settings.ROOT_URLCONF.urlpatterns.append(path("sign-in/done", page["come_back"]))
    return visitor


def posted_from_elsewhere(visitor: TestApp, **form: str) -> TestResponse:
    """The form that another site sends, without our cookie, and where it leads."""
    return TestApp(visitor.app).post("/bounce", form, headers={"Sec-Fetch-Site": "cross-site"})


def test_cross_site_sign_in_bounces_to_a_page_that_has_the_session(signing_in: TestApp) -> None:
    """The form itself sets no cookie; the page that it leads to checks `state`, and logs in."""
    state = signing_in.get("/out").location.rpartition("state=")[2]
    bounced = posted_from_elsewhere(signing_in, code="a code", state=state)

    assert (bounced.status_int, "Set-Cookie" in bounced.headers) == (303, False)
    signing_in.get(bounced.location)
    assert signing_in.get("/who").text == "ada"
    signing_in.get(bounced.location, status=403)


@pytest.mark.parametrize("form", [{"code": "a code"}, {"code": "a code", "state": "guessed"}], ids=["none", "guessed"])
def test_cross_site_sign_in_that_was_not_begun_here_is_refused(signing_in: TestApp, form: dict[str, str]) -> None:
    """Else anybody could log a visitor in to an account of his own."""
    signing_in.get("/out")
    signing_in.get(posted_from_elsewhere(signing_in, **form).location, status=403)

    assert TestApp(signing_in.app).get("/sign-in/done?posted=forged", status=400).status_int == 400
    assert signing_in.get("/who").text == ""
