"""Incidents with forgotten and changed passwords: links that went astray, and proofs that were somebody else's."""

from __future__ import annotations

import queue
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from webtest import TestApp, TestResponse

from sessionware import LoginFailed, TokenInvalid, get_session
from sessionware.auth import Auth, AuthPages, User
from tests.support.auth_kit import PASSWORD, AuthSite

NEW_PASSWORD = "another horse of quite another colour"
FORM = "application/x-www-form-urlencoded"


class Sent(NamedTuple):
    """What `send` was called with."""

    purpose: str
    user: User
    path: str | None


class Site(AuthSite):
    """A site that sends links. What it sent comes out of `outbox`, in order."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.outbox: queue.Queue[Sent] = queue.Queue()
        self.failing: Exception | None = None
        self.auth = Auth(self.users, hasher=self.hasher, send=self.send)
        self.served = self.wrapped(AuthPages(self.hello, self.auth))

    def send(self, purpose: str, user: User, path: str | None) -> None:
        self.outbox.put(Sent(purpose, user, path))
        if self.failing is not None:
            raise self.failing

    def hello(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"hello"]

    def visitor(self) -> TestApp:
        return TestApp(self.served)

    def asks_for_a_link(self, username: str) -> None:
        self.browser().do(lambda environ: self.auth.request_reset(environ, username))

    def next_link(self) -> Sent:
        """The next link that is sent, which may take a moment."""
        sent = self.outbox.get(timeout=10)
        return sent if sent.purpose == "reset" else self.next_link()


@pytest.fixture
def site() -> Site:
    site = Site()
    site.register("Ada")
    return site


def post(visitor: TestApp, path: str, body: str, **headers: str) -> TestResponse:
    return visitor.post(path, body.encode(), headers, content_type=FORM, expect_errors=True)


# Where a link goes


@pytest.mark.parametrize("typed", ["mike@example.org", "MIKE@EXAMPLE.ORG", "\uff2dike@example.org"])
def test_cve_2019_19844_link_goes_to_the_account_and_not_to_what_was_typed(typed: str) -> None:
    """Django found "mike" by another spelling, and sent his link to the address that was typed. So did GitHub."""
    site = Site()
    site.register("mike@example.org")

    site.asks_for_a_link("m\u0131ke@example.org")  # without a dot: another name
    site.asks_for_a_link(typed)

    assert site.next_link().user.username == "mike@example.org"
    assert site.outbox.empty()


def test_cve_2023_7028_link_goes_to_one_account_alone(site: Site) -> None:
    """GitLab took a list of addresses, checked the first, and sent the link to all."""
    typed: Any = ["Ada", "Eve"]
    with pytest.raises(TypeError, match="text"):
        site.auth.reset_token(site.manager, typed)
    with pytest.raises(TypeError, match="text"):
        site.asks_for_a_link(typed)

    assert post(site.visitor(), "/forgot", "username=Ada&username=Eve").status_code == 400


def test_cve_2012_4520_link_is_a_path(site: Site) -> None:
    """Django made it of the `Host` that came with the request. Here the application puts its own origin in front."""
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    post(site.visitor(), "/forgot", "username=Ada", **evil)

    path = site.next_link().path
    assert path is not None
    parts = urlsplit(path)
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/reset")
    assert list(parse_qs(parts.query)) == ["token"]


# What an answer tells


def test_cve_2017_5537_answer_to_forgot_is_the_same_byte_for_byte(site: Site) -> None:
    """Weblate's said that there is no such user."""
    site.users.set_active(site.register("Eve").id, False)
    answers = [post(site.visitor(), "/forgot", f"username={name}") for name in ("Ada", "Bob", "Eve", "%E2%80%AE")]

    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert len({tuple(answer.headerlist) for answer in answers}) == 1


def test_cve_2024_45231_mail_that_fails_tells_nothing(site: Site) -> None:
    """Django answered with an error where the mail could not be sent, that is, for accounts that exist."""
    site.failing = OSError("the mail server is down")

    known, unknown = (post(site.visitor(), "/forgot", f"username={name}") for name in ("Ada", "Bob"))
    site.next_link()

    assert (known.status, known.body) == (unknown.status, unknown.body)


# Who holds a link


def test_cve_2019_16109_cve_2026_32700_only_the_link_of_an_account_is_right(site: Site) -> None:
    """In Devise an empty token was right for accounts that had none, and two changes at once confirmed a wrong one."""
    site.register("Bob")
    for token in ("", " ", "0", "None", "a" * 43, site.token()[:-1]):
        with pytest.raises(TokenInvalid):
            site.auth.reset_password(site.manager, token, NEW_PASSWORD)

    adas, bobs = site.token("Ada"), site.token("Bob")
    assert site.auth.reset_password(site.manager, adas, NEW_PASSWORD).username == "Ada"
    with pytest.raises(TokenInvalid):
        site.auth.reset_password(site.manager, adas, PASSWORD + "!")
    assert site.auth.reset_password(site.manager, bobs, NEW_PASSWORD).username == "Bob"


def test_cve_2026_32700_two_links_of_one_account_set_one_password(site: Site) -> None:
    """Whichever is used first makes the other one void."""
    first, second = site.token(), site.token()
    site.auth.reset_password(site.manager, second, NEW_PASSWORD)

    with pytest.raises(TokenInvalid):
        site.auth.reset_password(site.manager, first, PASSWORD + "!")
    assert site.auth.authenticate(site.manager, "Ada", NEW_PASSWORD).username == "Ada"


def test_cve_2023_40273_sessions_end_with_the_password(site: Site) -> None:
    """Airflow's outlived a password that an administrator had set anew."""
    browser = site.logged_in("Ada")
    token = site.token()

    site.auth.reset_password(site.manager, token, NEW_PASSWORD)

    assert browser.who() is None
    assert browser.do(lambda environ: get_session(environ).ended_because, method="GET") == "password"


# Whose proof it is


def test_ghsa_f66q_9rf6_8795_ghsa_97r5_pg8x_p63p_somebody_elses_proof_is_none(site: Site) -> None:
    """In Flask-Security whoever confirmed by a key or a password of another account was let in to this one's pages."""
    site.register("Eve", NEW_PASSWORD)
    browser = site.logged_in("Ada")
    site.clock.tick(3600)

    with pytest.raises(LoginFailed):
        browser.do(lambda environ: site.auth.confirm(environ, NEW_PASSWORD))
    browser.do(lambda environ: site.auth.authenticate(environ, "Eve", NEW_PASSWORD))

    def is_fresh(environ: dict[str, Any]) -> bool:
        try:
            site.auth.require_user(environ, fresh=900)
        except Exception:
            return False
        return True

    assert not browser.do(is_fresh)
    browser.do(lambda environ: site.auth.confirm(environ, PASSWORD))
    assert browser.do(is_fresh)
