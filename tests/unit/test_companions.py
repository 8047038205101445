"""Cookies beside the session's own, which outlive it: `Auth` keeps by one which browsers an account knows."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask import request as flask_request
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from sessionware import Cookie, MemoryStore, Session, SessionClosed, SessionManager, get_session
from sessionware.contrib.flask import Sessionware
from sessionware.contrib.pyramid import session_factory
from tests.support.fixed import SECRET
from tests.support.kit import SessionSite


def send(session: Session) -> None:
    session._send_companion("known", "abc", 600)


def came(session: Session) -> list[str]:
    return session._companions("known")


def test_cookie_has_the_attributes_of_the_sessions() -> None:
    """And its name with something at the end."""
    site = SessionSite(cookie=Cookie(name="id", path="/app", samesite="Strict", domain="example.com"))

    assert site.browser().visit(send).set_cookies == [
        "id_known=abc; Path=/app; HttpOnly; SameSite=Strict; Domain=example.com; Max-Age=600"
    ]


def test_cookie_has_the_prefix_over_https() -> None:
    """So that no other host of the domain can plant one."""
    (line,) = SessionSite().browser().visit(send, scheme="https").set_cookies

    assert line.startswith("__Host-sid_known=abc; ")
    assert "; Secure" in line


def test_cookie_comes_back() -> None:
    """As it was sent; nobody sees it under another name."""
    browser = SessionSite().browser()
    browser.visit(send)

    assert browser.visit(came).result == ["abc"]
    assert browser.visit(lambda session: session._companions("other")).result == []


def test_what_is_sent_counts_at_once() -> None:
    """Two logins in one request must not undo each other's."""
    browser = SessionSite().browser()

    assert browser.visit(lambda session: (send(session), came(session))).result[1] == ["abc"]


def test_cookie_of_plain_http_is_not_read_over_https() -> None:
    """Anybody on the way may have set it."""
    visit = SessionSite().browser().visit(came, scheme="https", headers={"Cookie": "sid_known=abc"})

    assert visit.result == []


def test_few_are_read_whatever_comes() -> None:
    """Several may come, of several paths. Nobody keeps the server busy with a thousand."""
    header = "; ".join(["sid_knownot=1", "xsid_known=2", *(f"sid_known={n}" for n in range(1000))])
    found = SessionSite().browser().visit(came, headers={"Cookie": header}).result

    assert found[:3] == ["0", "1", "2"]
    assert len(found) <= 8


def test_last_of_several_is_sent() -> None:
    """A response with two cookies of one name leaves it to the browser which counts (RFC 6265 §4.1.1)."""

    def view(session: Session) -> None:
        send(session)
        session._send_companion("known", "later", 60)
        session._send_companion("other", "beside it", 60)

    lines = SessionSite().browser().visit(view).set_cookies

    assert [line.partition(";")[0] for line in lines] == ["sid_known=later", "sid_other=beside it"]


def test_sessions_cookie_comes_last() -> None:
    """Beside it, whatever else is done to the session."""
    visit = SessionSite().browser().visit(lambda session: (send(session), session.login("ada")))

    assert [line.partition("=")[0] for line in visit.set_cookies] == ["sid_known", "sid"]


def test_it_survives_an_error() -> None:
    """What it says is true whatever becomes of the page."""
    visit = SessionSite().browser().visit(lambda session: (send(session), session.login("ada")), status="500 Oh dear")

    assert [line.partition("=")[0] for line in visit.set_cookies] == ["sid_known"]


def test_it_survives_the_session_and_the_loss_of_it() -> None:
    """It is sent with a logout, and by a login that another request was faster than."""
    browser = SessionSite().browser()
    browser.visit(lambda session: session.login("ada"))
    tab = browser.tab()

    lost = browser.visit(lambda session: (send(session), tab.visit(lambda s: s.login("eve")), session.login("bob")))
    out = tab.visit(lambda session: (send(session), session.invalidate()))

    for visit in (lost, out):
        assert [line.partition("=")[0] for line in visit.set_cookies] == ["sid_known", "sid"]


def test_response_is_kept_from_caches() -> None:
    """It carries a cookie, so nobody else may get it."""
    headers = SessionSite().browser().visit(send, respond=[("Cache-Control", "public, max-age=60")]).response.headers

    assert headers["Cache-Control"] == "no-store"


def test_another_site_gets_none() -> None:
    """Rule 13: such a request sets no cookie."""
    cross_site = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}

    assert SessionSite().browser().visit(send, method="POST", headers=cross_site).set_cookies == []


def test_it_is_too_late_once_the_headers_are_out() -> None:
    """As for any cookie (rule 10)."""
    manager = SessionManager(SECRET)
    opened = manager.open({"REQUEST_METHOD": "GET"})
    opened.session.get("n")
    opened.finish()

    with pytest.raises(SessionClosed, match="too late to send a cookie"):
        send(opened.session)


def test_framework_that_passes_only_a_value_has_none() -> None:
    """As Django's sessions, which are made without the request: nothing comes, and nothing is sent."""
    opened = SessionManager(SECRET).open(cookie=None)
    send(opened.session)

    assert came(opened.session) == []
    opened.finish()
    assert [name for name, _ in opened.headers([])] == ["Vary", "Cache-Control"]


# Through frameworks


def through_flask() -> Any:
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSIONWARE_STORE=MemoryStore())
    Sessionware(app)

    @app.route("/", methods=["POST"])
    def index() -> str:
        session = get_session(flask_request)
        values = came(session)
        send(session)
        return ",".join(values)

    return app


def through_pyramid() -> Any:
    config = Configurator()
    config.set_session_factory(session_factory(SessionManager(SECRET, MemoryStore())))

    def view(request: Request) -> Response:
        session = get_session(request)
        values = came(session)
        send(session)
        return Response(",".join(values))

    config.add_view(view)
    return config.make_wsgi_app()


@pytest.mark.parametrize("app", [through_flask, through_pyramid])
def test_frameworks_pass_it_on(app: Any) -> None:
    """Their adapters send it, and it comes back."""
    visitor = TestApp(app())
    first = visitor.post("/")

    assert [line.partition(";")[0].endswith("_known=abc") for line in first.headers.getall("Set-Cookie")] == [True]
    assert (first.text, visitor.post("/").text) == ("", "abc")
