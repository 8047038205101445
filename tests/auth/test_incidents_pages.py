"""Incidents at login pages: redirects to other sites, forms of other sites, and fields that are not what they seem."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from webtest import TestApp, TestResponse

from sessionware import CrossOriginRefused
from sessionware.auth import AuthPages, safe_next
from tests.support.auth_kit import PASSWORD, AuthSite

FORM = "application/x-www-form-urlencoded"
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "https://evil.example"}


class Site(AuthSite):
    """A site with the pages, on which Ada has an account."""

    def __init__(self) -> None:
        super().__init__()
        self.register("Ada")
        self.served = self.wrapped(AuthPages(self.hello, self.auth))

    def hello(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/members":
            self.auth.require_user(environ)
        user = self.auth.user(environ)
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"Hello {user.username if user is not None else 'stranger'}".encode()]

    def visitor(self) -> TestApp:
        return TestApp(self.served)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def visitor(site: Site) -> TestApp:
    return site.visitor()


def post(visitor: TestApp, path: str, body: str, **headers: str) -> TestResponse:
    return visitor.post(path, body.encode(), headers, content_type=FORM, expect_errors=True)


def log_in(visitor: TestApp, **more: str) -> TestResponse:
    return post(visitor, "/login", urlencode({"username": "Ada", "password": PASSWORD, **more}))


# Where a login leads

#: What got through somewhere, and where.
REDIRECTS = {
    "CVE-2021-32618 Flask-Security, slashes": "/////evil.example/a",
    "CVE-2021-32618 Flask-Security, backslashes": r"\\\evil.example/a",
    "CVE-2023-49438 Flask-Security, a slash and a backslash": r"/\evil.example",
    "CVE-2023-49438 Flask-Security, backslashes alone": r"\\evil.example",
    "CVE-2023-49438 Flask-Security, a tab in between": "/\t/evil.example",
    "GHSA-w2j7-f3c6-g8cw Flask-Security, a name in front": "https://here.example@evil.example/",
    "CVE-2016-2512 Django, basic authentication": r"http://mysite.example\@evil.example",
    "CVE-2017-7233 Django, a number": "http:999999999",
    "CVE-2017-7233 Django, a scheme without slashes": "https:evil.example",
    "CVE-2021-23435 Clearance, slashes": "//evil.example//",
    "CVE-2026-40295 Devise, a whole address": "https://evil.example/path",
    "CVE-2018-11408 Symfony, another scheme": "ftp://evil.example/",
    "a script": "javascript:alert(1)",
    "a header": "/a\r\nLocation: https://evil.example",
}


@pytest.mark.parametrize("wanted", REDIRECTS.values(), ids=REDIRECTS)
def test_cve_2021_32618_cve_2023_49438_and_others_a_login_leads_to_a_path_of_this_site(
    visitor: TestApp, wanted: str
) -> None:
    """Each of these took a visitor from the login page to another site: what is no plain path leads home."""
    assert visitor.get(f"/login?next={quote(wanted)}").form.get("next", default=None) is None
    assert log_in(visitor, next=wanted).headers["Location"] == "/"
    assert safe_next(wanted) == "/"


def test_cve_2026_40295_way_back_is_not_where_a_visitor_came_from(site: Site, visitor: TestApp) -> None:
    """Devise went back to the `Referer`, which is the page of whoever made the link."""
    headers = {"Referer": "https://evil.example/path", "X-Forwarded-Host": "evil.example", "Host": "evil.example"}

    asked = visitor.get("/members", headers=headers)
    done = post(visitor, asked.headers["Location"], urlencode({"username": "Ada", "password": PASSWORD}), **headers)

    assert (asked.headers["Location"], done.headers["Location"]) == ("/login?next=/members", "/")


def test_cve_2012_4520_no_address_is_made_of_the_host_header(visitor: TestApp) -> None:
    """Django put the `Host` of a request into links in mail."""
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}

    for response in (visitor.get("/login", headers=evil), visitor.get("/members", headers=evil)):
        assert "evil.example" not in response.headers.get("Location", "") + response.text


# Who sent the form


def test_cve_2025_68481_another_site_cannot_log_a_visitor_in(site: Site, visitor: TestApp) -> None:
    """In fastapi-users it could, to an account of its own, and then read what the visitor entered there."""
    response = post(visitor, "/login", urlencode({"username": "Ada", "password": PASSWORD}), **FOREIGN)

    assert response.status_code == 403
    assert visitor.cookies == {}
    assert [event.name for event in site.told("csrf.blocked", "login.succeeded")] == ["csrf.blocked"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_cve_2021_21241_looking_at_a_page_gives_no_credential_and_does_nothing(
    site: Site, visitor: TestApp, method: str
) -> None:
    """Flask-Security's GET of /login answered with a token for the account, which a page elsewhere could ask for."""
    log_in(visitor)
    before, cookie = site.store.scan(), visitor.cookies["sid"]

    for path in ("/login", "/register", "/logout"):
        response = visitor.request(path, method=method, headers={"Accept": "application/json"})
        assert cookie not in response.text
        assert "Set-Cookie" not in response.headers
    assert site.store.scan() == before


def test_cve_2021_21241_link_logs_nobody_in(site: Site, visitor: TestApp) -> None:
    """Name and password in an address do nothing, and `Auth` says so to an application that tries."""
    visitor.get(f"/login?{urlencode({'username': 'Ada', 'password': PASSWORD})}")
    assert visitor.get("/").text == "Hello stranger"

    with pytest.raises(CrossOriginRefused):
        site.browser().do(lambda environ: site.auth.login(environ, "Ada", PASSWORD), method="GET")


# What was sent


@pytest.mark.parametrize(
    "body",
    [
        f"username=Ada&username=Eve&password={quote(PASSWORD)}",
        f"username=Eve&username=Ada&password={quote(PASSWORD)}",
        f"username=Ada&password=x&password={quote(PASSWORD)}",
    ],
)
def test_cve_2023_7028_field_that_comes_twice_is_refused(site: Site, visitor: TestApp, body: str) -> None:
    """GitLab checked one of two mail addresses, and sent the reset to both."""
    response = post(visitor, "/login", body)

    assert response.status_code == 400
    assert site.users.taken() == []


@pytest.mark.parametrize("body", [f"username[]=Ada&password={quote(PASSWORD)}", f"username=Ada&password[x]={PASSWORD}"])
def test_cve_2023_7028_brackets_make_no_list(site: Site, visitor: TestApp, body: str) -> None:
    """Frameworks make lists of such fields; to the pages they are fields that they do not have."""
    assert post(visitor, "/login", body).status_code in (400, 403)
    assert visitor.get("/").text == "Hello stranger"


@pytest.mark.parametrize("value", [0, 5, True, None, ["Ada"], {"$ne": None}, b"Ada"])
def test_cve_2013_0233_what_is_not_text_is_not_looked_up(site: Site, value: Any) -> None:
    """Devise looked up a token that was a number, and the database took the text of another account's for it."""
    for both in ((value, PASSWORD), ("Ada", value)):
        with pytest.raises(TypeError, match="text"):
            site.auth.authenticate(site.manager, *both)

    assert site.users.taken() == []
    assert site.hasher.calls == []
