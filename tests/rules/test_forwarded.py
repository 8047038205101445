"""What a proxy says of the browser's scheme: believed where it makes things stricter, and nowhere else."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from sessionware import Cookie, Session
from tests.support.kit import SessionSite

OWN_HOST = "www.example.com"

#: What `X-Forwarded-Proto` may say, and whether that is https. Of several proxies, the first met the browser.
SAID = {
    "https": True,
    "HTTPS": True,
    "Https": True,
    " https\t": True,
    "https,http": True,
    "https, http": True,
    "https ,http": True,
    "https, https": True,
    ", https": True,
    ",,\t https,": True,
    "http": False,
    "http, https": False,
    "http,https,https": False,
    "": False,
    " ": False,
    ",": False,
    "https;http": False,
    "https http": False,
    '"https"': False,
    "httpss": False,
    "on": False,
    "\xa0https": False,
    "wss": False,
}

FORWARDED = ("proto=https", "for=192.0.2.1;proto=https;host=evil.example", "proto=http", "host=evil.example")

COOKIES = ("nothing", "plain", "strict", "junk")
ORIGINS = (
    None,
    f"http://{OWN_HOST}",
    f"https://{OWN_HOST}",
    f"http://{OWN_HOST}:443",
    f"https://{OWN_HOST}:80",
    "http://partner.example",
    "https://partner.example",
    "https://evil.example",
    "null",
)
SITES = (None, "same-origin", "same-site", "cross-site", "none")


@pytest.fixture(scope="module")
def site() -> SessionSite:
    return SessionSite(trusted_origins=["https://partner.example"])


def allowed(site: SessionSite, scheme: str, headers: dict[str, str], cookie: str) -> set[str]:
    """What a form that is posted like this may do."""
    found: set[str] = set()

    def view(session: Session) -> None:
        if session.check_csrf(csrf_token):
            found.add("a visitor's form is good")
        if "n" in session and cookie == "plain":
            found.add("the plain cookie is read")
        session["m"] = 1
        if not session.is_foreign:
            found.add("it acts in a session")

    csrf_token = site.browser().visit(lambda session: session.csrf_token).result
    visitor = site.browser().visit(
        lambda session: session.update(n=1), scheme="https" if cookie == "strict" else "http"
    )
    own = visitor.set_cookies[0].partition(";")[0]
    cookies = {"plain": own, "strict": own, "junk": "sid=junk; __Host-sid=junk"}
    sent = {**headers, "Host": OWN_HOST, **({"Cookie": cookies[cookie]} if cookie in cookies else {})}
    for line in site.browser().visit(view, method="POST", headers=sent, scheme=scheme).set_cookies:
        found |= {"a cookie goes out that http would show"} if "; Secure" not in line else set()
    return found


@pytest.mark.parametrize(("said", "is_https"), SAID.items())
def test_first_proxy_says_which_scheme_the_browser_uses(site: SessionSite, said: str, is_https: bool) -> None:
    """The cookie's name shows what was understood; what is no scheme at all says nothing."""
    (line,) = site.browser().visit(lambda session: session.update(n=1), headers={"X-Forwarded-Proto": said}).set_cookies

    assert line.startswith("__Host-sid=") is is_https


@pytest.mark.parametrize("said", ["http", "http, https", "", "https"])
def test_server_that_says_https_is_believed_whatever_a_proxy_says(site: SessionSite, said: str) -> None:
    """The header cannot turn https into http."""
    answer = site.browser().visit(
        lambda session: session.update(n=1), headers={"X-Forwarded-Proto": said}, scheme="https"
    )

    assert answer.set_cookies[0].startswith("__Host-sid=")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_that_a_proxy_may_say_makes_anything_laxer(site: SessionSite, scheme: str) -> None:
    """Whatever scheme, cookie, Origin and Sec-Fetch-Site it comes with: the header only takes permissions away."""
    said = [{"X-Forwarded-Proto": value} for value in ("https", "https, http", "http", "http, https", "")]
    said += [{"Forwarded": value} for value in FORWARDED]
    said += [{"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Proto": "https", "Forwarded": FORWARDED[1]}]
    laxer = []
    for cookie, origin, sec_fetch_site in product(COOKIES, ORIGINS, SITES):
        headers = {"Origin": origin, "Sec-Fetch-Site": sec_fetch_site}
        plain = {name: value for name, value in headers.items() if value is not None}
        without = allowed(site, scheme, plain, cookie)
        if cookie == "strict":  # it is read only where https is said, so it may do what it does on a server of https
            without |= allowed(site, "https", plain, cookie)
        laxer += [
            (plain, cookie, each) for each in said if not allowed(site, scheme, {**plain, **each}, cookie) <= without
        ]

    assert laxer == []


def test_everything_that_depends_on_the_scheme_becomes_stricter(site: SessionSite) -> None:
    """Not the cookie alone: a page of http is another origin than this one, for its forms as for its visitors'."""
    http_page, https = {"Origin": f"http://{OWN_HOST}"}, {"X-Forwarded-Proto": "https"}

    before = allowed(site, "http", http_page, "plain")
    after = allowed(site, "http", {**http_page, **https}, "plain")

    assert before == {"it acts in a session", "a visitor's form is good", "the plain cookie is read"}
    assert after == set()
    assert allowed(site, "http", http_page, "nothing") == {
        "it acts in a session",
        "a visitor's form is good",
        "a cookie goes out that http would show",
    }


def test_strict_cookie_that_comes_where_http_seems_to_be_used_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Browsers send it over https only, so a proxy has not said so; an unread cookie alone would look like nobody."""
    site = SessionSite()
    name, value = site.middleware.manager.login_cookie("ada", https=True)

    def visit(**headers: str) -> Any:
        return site.browser().visit(lambda session: session.username, headers=headers).result

    visit(Cookie="__Host-sid=" + "A" * 64)
    assert caplog.records == []
    assert [visit(Cookie=f"{name}={value}") for _ in range(2)] == [None, None]
    (warning,) = caplog.messages
    assert "X-Forwarded-Proto" in warning


def test_strict_cookie_is_read_over_http_if_it_is_the_only_one(caplog: pytest.LogCaptureFixture) -> None:
    """With `secure=True` the site knows, whatever its proxy says."""
    site = SessionSite(cookie=Cookie(secure=True))
    name, value = site.middleware.manager.login_cookie("ada", https=True)

    seen = site.browser().visit(lambda session: session.username, headers={"Cookie": f"{name}={value}"}).result

    assert seen == "ada"
    assert caplog.records == []
