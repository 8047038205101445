"""/session: how much time is left, for a script that warns before the session ends."""

from __future__ import annotations

import pytest
from webtest import TestApp, TestResponse

from sessionware import MemoryStore, StoreUnavailable
from sessionware.testing import FaultyStore
from tests.support.pages_kit import FOREIGN, PagesSite, post

HOUR = 3600
IDLE, LIFETIME = 12 * HOUR, 7 * 24 * HOUR
NOBODY = {"logged_in": False, "idle_in": None, "ends_in": None}


@pytest.fixture
def site() -> PagesSite:
    site = PagesSite()
    site.register("Ada")
    return site


def told(answer: TestResponse) -> tuple[int, int]:
    assert answer.json["logged_in"] is True
    return answer.json["idle_in"], answer.json["ends_in"]


def test_time_left_is_told_in_seconds(site: PagesSite) -> None:
    """Until it ends if nobody uses it, and until it ends whatever happens."""
    visitor = site.logged_in_visitor()
    site.clock.tick(HOUR)
    answer = visitor.get("/session")

    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert told(answer) == (IDLE - HOUR, LIFETIME - HOUR)


def test_asking_prolongs_nothing(site: PagesSite) -> None:
    """Not by a hair, however often, and whether or not the script says that it is passive."""
    visitor = site.logged_in_visitor()
    for _ in range(11):
        site.clock.tick(HOUR)
        visitor.get("/session")
        visitor.get("/session", headers={"X-Session-Passive": "1"})
    assert told(visitor.get("/session")) == (HOUR, LIFETIME - 11 * HOUR)
    site.clock.tick(HOUR)

    assert visitor.get("/session").json == NOBODY


def test_posting_prolongs_it(site: PagesSite) -> None:
    """By as much as any click, and leads to what is left then."""
    visitor = site.logged_in_visitor()
    site.clock.tick(11 * HOUR)
    answer = visitor.post("/session")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/session")
    assert told(answer.follow()) == (IDLE, LIFETIME - 11 * HOUR)
    site.clock.tick(11 * HOUR)
    assert visitor.get("/").text == "Hello Ada"


def test_posting_needs_neither_form_nor_length(site: PagesSite) -> None:
    """A script sends it with an empty body."""
    visitor = site.logged_in_visitor()

    assert post(visitor, "/session", b"", type="").status_code == 303


def test_nobody_is_no_error(site: PagesSite) -> None:
    """And leaves no trace."""
    visitor = site.visitor()
    answers = [visitor.get("/session"), visitor.post("/session")]

    assert answers[0].json == answers[1].follow().json == NOBODY
    assert not any("Set-Cookie" in answer.headers for answer in answers)
    assert site.store.scan() == []


def test_another_site_prolongs_nothing(site: PagesSite) -> None:
    """It gets a few words, and no page."""
    visitor = site.logged_in_visitor()
    site.clock.tick(11 * HOUR)
    answer = post(visitor, "/session", headers=FOREIGN)

    assert (answer.status_code, answer.content_type) == (403, "text/plain")
    assert told(visitor.get("/session"))[0] == HOUR


def test_another_site_cannot_read_it(site: PagesSite) -> None:
    """No header lets it, and what it can load as a script is none."""
    answer = site.logged_in_visitor().get("/session", headers=FOREIGN)

    assert not any(name.lower().startswith("access-control") for name in answer.headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_replaced_cookie_is_nobody(site: PagesSite) -> None:
    """As it is everywhere."""
    visitor = site.logged_in_visitor()
    before = TestApp(site.served)
    headers = {"Cookie": f"sid={visitor.cookies['sid']}"}
    visitor.post("/logout")

    assert before.get("/session", headers=headers).json == NOBODY


def test_account_that_was_disabled_is_not_logged_in(site: PagesSite) -> None:
    """The script learns it as the next click would."""
    visitor = site.logged_in_visitor()
    site.users.set_active(site.users.find_by_key("ada").id, False)

    assert visitor.get("/session").json == NOBODY


def test_asking_does_not_take_the_reason(site: PagesSite) -> None:
    """The login page tells the person why the session is over."""
    visitor = site.logged_in_visitor()
    site.clock.tick(13 * HOUR)
    visitor.get("/session")

    assert "expired" in visitor.get("/login").html.find(role="status").text


def test_remembered_session_has_an_end_too(site: PagesSite) -> None:
    """One that nobody needs to use for it to last."""
    visitor = site.visitor()
    form = visitor.get("/login").form
    form["username"], form["password"], form["remember"] = "Ada", "seven quiet lanterns drift", True
    form.submit()
    site.clock.tick(HOUR)

    assert told(visitor.get("/session")) == (30 * 24 * HOUR - HOUR,) * 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_outage_is_not_a_logout(method: str) -> None:
    """A script must not send anybody to the login page for it."""
    store = FaultyStore(MemoryStore())
    site = PagesSite(store=store)
    site.register("Ada")
    visitor = site.logged_in_visitor()
    store.broken.add("load")

    assert visitor.request("/session", method=method, expect_errors=True).status_code == 503
    store.broken.clear()
    site.users.broken["get"] = StoreUnavailable("the disk is on fire")
    assert visitor.request("/session", method=method, expect_errors=True).status_code == 503


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_refused_in_a_few_words(site: PagesSite, method: str) -> None:
    """It shows nobody a page."""
    answer = site.visitor().request("/session", method=method, expect_errors=True)

    assert (answer.status_code, answer.headers["Allow"], answer.content_type) == (405, "GET, HEAD, POST", "text/plain")
