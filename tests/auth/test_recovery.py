"""A forgotten password: the link, what it is good for, and that it is good once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from sessionware import (
    ConfigError,
    CrossOriginRefused,
    Event,
    LoginFailed,
    MemoryStore,
    PasswordRejected,
    SessionManager,
    StoreUnavailable,
    TokenInvalid,
    get_session,
)
from sessionware._types import Environ
from sessionware.auth import Auth, MemoryUsers, User
from sessionware.stores.base import Record
from sessionware.testing import FaultyStore
from tests.support.auth_kit import CHEAP, PASSWORD, AuthSite
from tests.support.fixed import SECRET

NEW = "wrong mule charger paperclip"
OTHER = "a third one, of somebody else"
OLD_SECRET = "an older secret, which is rotated out: 8c1f5e0b7a"

Mail = tuple[str, User, str | None]


class TokenStore(FaultyStore):
    """A store whose namespace for tokens can be looked at, and told to fail."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.tokens = FaultyStore(self.behind.namespace("tokens"))

    def namespace(self, name: str) -> FaultyStore:
        return self.tokens if name == "tokens" else super().namespace(name)

    @property
    def stored(self) -> list[Record]:
        return list(self.tokens.behind.scan())


class Site(AuthSite):
    """With Ada, and a letter box."""

    def __init__(self, **settings: Any) -> None:
        self.tokens = TokenStore()
        super().__init__(store=self.tokens, **settings)
        self.mails: SimpleQueue[Mail] = SimpleQueue()
        self.auth = Auth(self.users, hasher=self.hasher, send=lambda *mail: self.mails.put(mail))
        self.ada = self.register("Ada")

    def posted(self) -> list[Mail]:
        """What was sent, when nothing waits any more."""
        assert self.auth._outbox.join(10)
        return [self.mails.get() for _ in range(self.mails.qsize())]

    def lets_in(self, password: str, name: str = "Ada") -> bool:
        try:
            self.auth.authenticate(self.manager, name, password)
        except LoginFailed:
            return False
        return True

    def is_refused(self, token: str) -> bool:
        """Whether this is no token (any more), and does nothing."""
        before = [self.users.behind.get(user_id) for user_id in self.users.behind._by_id]
        with pytest.raises(TokenInvalid):
            self.auth.reset_password(self.manager, token, OTHER)
        return before == [self.users.behind.get(user_id) for user_id in self.users.behind._by_id]


@pytest.fixture
def site() -> Site:
    return Site()


# What a token does


def test_a_token_sets_a_new_password(site: Site) -> None:
    """Of the account that it was made for, which is what is returned."""
    site.register("Eve")

    user = site.auth.reset_password(site.manager, site.token(), NEW)

    assert user == site.users.behind.get(site.ada.id)
    assert (site.lets_in(NEW), site.lets_in(PASSWORD), site.lets_in(PASSWORD, "Eve")) == (True, False, True)


def test_all_sessions_end_and_nobody_is_logged_in(site: Site) -> None:
    """Neither who has the link, nor who had the password (ASVS 5.0 6.4.3, 7.4.3)."""
    others, visitor = [site.logged_in("Ada") for _ in range(2)], site.browser()
    token = site.token()

    visitor.do(lambda environ: site.auth.reset_password(environ, token, NEW))

    assert [browser.who() for browser in (*others, visitor)] == [None] * 3
    why = [browser.do(lambda environ: get_session(environ).ended_because, method="GET") for browser in others]
    assert why == ["password", "password"]


def test_message_for_the_next_page_outlives_the_session(site: Site) -> None:
    """And the browser is not told why its session is over. It was there."""
    browser, token = site.logged_in("Ada"), site.token()

    def view(environ: Environ) -> None:
        site.auth.reset_password(environ, token, NEW)
        get_session(environ).flash("Log in with it.")

    def next_page(environ: Environ) -> tuple[object, list[str]]:
        session = get_session(environ)
        return session.ended_because, session.pop_flash()

    browser.do(view)

    assert browser.do(next_page, method="GET") == (None, ["Log in with it."])


def test_browser_that_is_still_logged_in_is_logged_out(site: Site) -> None:
    """At once, for the rest of the request too."""
    browser, token = site.logged_in("Ada"), site.token()

    def view(environ: Environ) -> User | None:
        site.auth.reset_password(environ, token, NEW)
        return site.auth.user(environ)

    assert browser.do(view) is None
    assert browser.who() is None


def test_another_users_session_is_left_alone(site: Site) -> None:
    """Eve opens Ada's link in her own browser."""
    site.register("Eve")
    browser, token = site.logged_in("Eve"), site.token()

    browser.do(lambda environ: site.auth.reset_password(environ, token, NEW))

    assert browser.who() == "Eve"


def test_it_is_reported(site: Site) -> None:
    """With the account; the token is in no event."""
    token = site.token()
    site.browser().do(lambda environ: site.auth.reset_password(environ, token, NEW))

    (event,) = site.told("account.reset")
    assert (event.user_id, event.account, event.client_address) == (site.ada.id, "ada", "192.0.2.7")
    assert token not in repr(site.events)


def test_its_owner_is_told(site: Site) -> None:
    """Because it may not have been her (NIST SP 800-63B-4 §4.6)."""
    user = site.auth.reset_password(site.manager, site.token(), NEW)

    assert site.posted() == [("password_changed", user, None)]


# What a token is


def test_a_token_is_random_and_fits_into_a_link(site: Site) -> None:
    """256 bits, in characters that need no quoting."""
    tokens = {site.token() for _ in range(20)}

    assert len(tokens) == 20
    assert {len(token) for token in tokens} == {43}
    assert all(token.replace("-", "").replace("_", "").isalnum() and token.isascii() for token in tokens)


def test_the_table_does_not_tell_the_token_or_whose_it_is(site: Site) -> None:
    """Nor which of the records belong together."""
    token = site.token()
    site.token()

    stored = b"".join(bytes(record.id) + record.payload for record in site.tokens.stored)
    assert all(part.encode() not in stored for part in (token, site.ada.id, "Ada", "ada"))
    assert {record.owner for record in site.tokens.stored} == {None}


@pytest.mark.parametrize("state", ["unknown", "impossible", "disabled", "without a password"])
def test_there_is_none_for_who_cannot_have_one(site: Site, state: str) -> None:
    """An account that logs in by other means must not get a password by mail."""
    site.users.behind.add("sso", "Sso", None, {})
    site.users.behind.set_active(site.register("Bob").id, False)
    name = {"unknown": "Nobody", "impossible": "\u202e", "disabled": "Bob", "without a password": "Sso"}[state]

    assert site.auth.reset_token(site.manager, name) is None
    assert site.tokens.stored == []


def test_account_whose_hash_is_unusable_can_get_a_good_one(site: Site) -> None:
    """It is how its owner gets back in."""
    site.users.behind.add("bob", "Bob", "!", {})

    site.auth.reset_password(site.manager, site.token("Bob"), NEW)

    assert site.lets_in(NEW, "Bob")


# What makes a token void


def test_a_token_works_once(site: Site) -> None:
    """The link stays in the mail."""
    token = site.token()
    site.auth.reset_password(site.manager, token, NEW)

    assert site.is_refused(token)
    assert site.tokens.stored == []


@pytest.mark.parametrize("late", [0, 1, 10**6])
def test_a_token_is_good_for_an_hour(site: Site, late: int) -> None:
    """NIST SP 800-63B-4 §4.2 allows a day."""
    in_time, too_late = site.token(), site.token()

    site.clock.tick(3600 + late)
    assert site.is_refused(too_late)
    site.clock.tick(-1 - late)
    assert site.auth.reset_password(site.manager, in_time, NEW)


CHANGES: dict[str, Callable[[Site], object]] = {
    "another password": lambda site: set_password(site, ends_sessions=True),
    "another password, silently": lambda site: set_password(site, ends_sessions=False),
    "another name": lambda site: site.auth.rename(site.manager, site.ada.id, "Lovelace"),
    "disabled": lambda site: site.auth.set_active(site.manager, site.ada.id, False),
    "disabled and enabled": lambda site: [
        site.auth.set_active(site.manager, site.ada.id, value) for value in (False, True)
    ],
    "logged out everywhere": lambda site: site.auth.end_all(site.manager, site.ada.id),
    "erased": lambda site: site.auth.erase(site.manager, site.ada.id),
    "erased and registered again": lambda site: [site.auth.erase(site.manager, site.ada.id), site.register("Ada")],
    "another link was used": lambda site: site.auth.reset_password(site.manager, site.token(), NEW),
}


def set_password(site: Site, *, ends_sessions: bool) -> None:
    user = site.users.behind.get(site.ada.id)
    assert site.users.behind.set_password(
        user.id, CHEAP.hash(NEW), expect=user.password_hash, ends_sessions=ends_sessions
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_the_account_makes_its_tokens_void(site: Site, change: Callable[[Site], object]) -> None:
    """Somebody has taken care of it meanwhile."""
    token = site.token()
    change(site)

    assert site.is_refused(token)


def test_a_newer_token_leaves_an_older_one_good(site: Site) -> None:
    """Mails overtake each other, and anybody can ask for another link."""
    older, newer = site.token(), site.token()

    site.auth.reset_password(site.manager, older, NEW)

    assert site.is_refused(newer)


def variants(token: str) -> Iterator[str]:
    yield from ("", " ", token[:-1], token + "A", token + "=", token.swapcase(), f" {token}", f"{token}\n")
    yield ("B" if token[0] == "A" else "A") + token[1:]
    yield from (token[:-1] + last for last in "AQgw" if last != token[-1])  # the same bytes, but for what base64 drops
    yield from ("x" * 43, "\u00e9" * 43, "\ud800" * 43, "A" * 10**6)


def test_what_is_not_the_token_is_refused(site: Site) -> None:
    """However close it comes (CVE-2019-16109: an empty one must not find an empty column)."""
    for text in variants(site.token()):
        assert site.is_refused(text), ascii(text[:50])


@pytest.mark.parametrize("token", [None, 7, b"x", ["x"]])
def test_what_is_not_text_is_the_programs_mistake(site: Site, token: Any) -> None:
    """CVE-2023-7028 began with a list."""
    with pytest.raises(TypeError, match="token"):
        site.auth.reset_password(site.manager, token, NEW)
    with pytest.raises(TypeError, match="username"):
        site.auth.reset_token(site.manager, token)


def test_token_of_another_site_is_refused() -> None:
    """One with another secret, on the same table of records and the same accounts."""
    site = Site()
    token = site.token()
    other = SessionManager("another secret, not known to the first site: 93ab", site.tokens, clock=site.clock)

    with pytest.raises(TokenInvalid):
        site.auth.reset_password(other, token, NEW)


def test_account_of_another_table_is_not_opened(site: Site) -> None:
    """Two tables that count from 1 have the same ids; customers must not become staff."""
    staff = MemoryUsers()
    user = staff.add("ada", "Ada", CHEAP.hash(PASSWORD), {})
    staff._by_id = {site.ada.id: User(site.ada.id, user.key, user.username, user.password_hash)}
    staff._ids = {"ada": site.ada.id}
    token = site.token()

    with pytest.raises(TokenInvalid):
        Auth(staff, hasher=CHEAP).reset_password(site.manager, token, NEW)


def test_old_secret_that_is_kept_still_opens_it(site: Site) -> None:
    """And one that was rotated out does not."""
    site = Site(secret=OLD_SECRET)
    kept, gone = site.token(), site.token()
    rotated = SessionManager([SECRET, OLD_SECRET], site.tokens, clock=site.clock)
    later = SessionManager(SECRET, site.tokens, clock=site.clock)

    with pytest.raises(TokenInvalid):
        site.auth.reset_password(later, gone, NEW)
    assert site.auth.reset_password(rotated, kept, NEW).id == site.ada.id


@pytest.mark.parametrize("field", ["payload of another", "cut", "empty", "not bytes", "later end", "earlier end"])
def test_record_that_somebody_changed_is_refused(site: Site, field: str) -> None:
    """Nobody who can write to the table makes one token open another account, or live longer. It is reported."""
    site.register("Eve")
    token, first = site.token(), site.tokens.stored[0]
    site.token("Eve")
    other = next(record for record in site.tokens.stored if record.id != first.id)
    ways: dict[str, dict[str, Any]] = {
        "payload of another": {"payload": other.payload},
        "cut": {"payload": first.payload[:-1]},
        "empty": {"payload": b""},
        "not bytes": {"payload": "text"},
        "later end": {"expires_at": first.expires_at + 3600},
        "earlier end": {"expires_at": first.expires_at - 1},
    }
    changed = first._replace(**ways[field])
    behind: Any = site.tokens.tokens.behind
    behind.load = lambda id, now: changed if id == first.id else None
    site.events.clear()

    assert site.is_refused(token)
    assert site.told("record.corrupt")


def test_looking_at_a_link_does_not_use_it_up(site: Site) -> None:
    """A password that is rejected can be typed again; mail scanners follow links as well."""
    token = site.token()
    for rejected in ("short", "tab\tin a long password"):
        with pytest.raises(PasswordRejected):
            site.auth.reset_password(site.manager, token, rejected)

    assert site.auth.reset_password(site.manager, token, NEW)


def test_refusal_tells_the_operator_why(site: Site) -> None:
    """And the visitor nothing but that the link is no longer valid."""
    used, changed = site.token(), site.token()
    site.auth.reset_password(site.manager, used, NEW)
    site.events.clear()
    for token in (used, changed):
        with pytest.raises(TokenInvalid, match=r"ask for a new one"):
            site.auth.reset_password(site.manager, token, NEW)

    told = [(event.user_id, event.detail) for event in site.told("login.failed")]
    assert told == [
        (None, "reset_password(): unknown, used or expired"),
        (site.ada.id, "reset_password(): the account has changed since"),
    ]


# At the same moment


def test_of_two_that_use_it_at_once_one_succeeds(site: Site) -> None:
    """Whichever uses it up first; the other one's password is never set."""
    token = site.token()
    hash_once = site.hasher.hash
    outcomes = []

    def meanwhile(password: str) -> str:
        site.hasher.hash = hash_once
        outcomes.append(site.auth.reset_password(site.manager, token, OTHER))
        return hash_once(password)

    site.hasher.hash = meanwhile
    with pytest.raises(TokenInvalid):
        site.auth.reset_password(site.manager, token, NEW)

    assert [event.detail for event in site.told("login.failed")] == [
        "reset_password(): used by another request at the same moment"
    ]
    assert (len(outcomes), site.lets_in(OTHER), site.lets_in(NEW)) == (1, True, False)


def test_password_that_is_changed_at_the_same_moment_stays(site: Site) -> None:
    """Its owner has found it again, and was faster."""
    browser, token = site.logged_in("Ada"), site.token()
    site.users.meanwhile["before set_password"] = lambda: browser.do(
        lambda environ: site.auth.change_password(environ, PASSWORD, OTHER)
    )

    with pytest.raises(TokenInvalid):
        site.auth.reset_password(site.manager, token, NEW)
    assert (site.lets_in(OTHER), site.lets_in(NEW), browser.who()) == (True, False, "Ada")


@pytest.mark.parametrize("moment", ["verified", "stored"])
def test_login_that_is_under_way_does_not_survive(site: Site, moment: str) -> None:
    """A thief's, who knows the old password."""
    thief, token, done = site.browser(), site.token(), list[User]()

    def meanwhile() -> None:
        if not done:
            done.append(site.auth.reset_password(site.manager, token, NEW))

    if moment == "verified":
        site.hasher.after_verify = meanwhile
    else:
        site.users.meanwhile["before get"] = meanwhile
    thief.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert (len(done), thief.who(), "sid" in thief.cookies) == (1, None, False)


# Outages


@pytest.mark.parametrize("method", ["load", "delete"])
def test_store_that_is_down_leaves_everything_as_it_was(site: Site, method: str) -> None:
    """The link works when it is back."""
    browser, token = site.logged_in("Ada"), site.token()
    site.tokens.tokens.broken.add(method)
    with pytest.raises(StoreUnavailable):
        site.auth.reset_password(site.manager, token, NEW)
    site.tokens.tokens.broken.clear()

    assert (browser.who(), site.lets_in(PASSWORD)) == ("Ada", True)
    assert site.auth.reset_password(site.manager, token, NEW)


def test_lost_answer_costs_the_token_and_never_lets_it_be_used_twice(site: Site) -> None:
    """Then the old password stays, and another link can be asked for."""
    browser, token = site.logged_in("Ada"), site.token()
    site.tokens.tokens.deaf.add("delete")
    with pytest.raises(StoreUnavailable):
        site.auth.reset_password(site.manager, token, NEW)
    site.tokens.tokens.deaf.clear()

    assert site.is_refused(token)
    assert (browser.who(), site.lets_in(PASSWORD)) == ("Ada", True)
    assert site.auth.reset_password(site.manager, site.token(), NEW)


def test_table_that_is_down_costs_the_token(site: Site) -> None:
    """It is used up before the password is set, or it would be good for two."""
    browser, token = site.logged_in("Ada"), site.token()
    site.users.broken["set_password"] = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        site.auth.reset_password(site.manager, token, NEW)
    site.users.broken.clear()

    assert site.is_refused(token)
    assert (browser.who(), site.lets_in(PASSWORD)) == ("Ada", True)


def test_sessions_that_could_not_be_ended_are_refused(site: Site) -> None:
    """The password is set by then; another login is all it takes."""
    browser, token = site.logged_in("Ada"), site.token()
    site.tokens.broken.add("owned_by")
    with pytest.raises(StoreUnavailable):
        site.auth.reset_password(site.manager, token, NEW)
    site.tokens.broken.clear()

    assert (browser.who(), site.lets_in(NEW)) == (None, True)


def test_tokens_that_nobody_uses_do_not_pile_up(site: Site) -> None:
    """New ones take old ones with them, now and then."""
    for _ in range(300):
        site.token()
        site.clock.tick(3 * 3600)

    assert len(site.tokens.stored) <= 100


# Asking for one


def ask(site: Site, name: str) -> None:
    site.browser().do(lambda environ: site.auth.request_reset(environ, name))


def test_whoever_has_an_account_gets_a_link(site: Site) -> None:
    """Where it leads is the application's to say: a Host header can be forged (CVE-2012-4520)."""
    ask(site, "ADA")
    ((purpose, user, path),) = site.posted()

    assert (purpose, user) == ("reset", site.ada)
    assert path is not None
    assert path.startswith("/reset?token=")
    assert site.auth.reset_password(site.manager, path.partition("=")[2], NEW)


def test_the_path_is_text_like_any_other(site: Site) -> None:
    """Mailers put it together with what comes before it, by whatever means."""
    ask(site, "Ada")
    ((_, _, path),) = site.posted()

    assert isinstance(path, str)
    made = [f"https://a.example{path}", "https://a.example" + path, "{}{}".format("https://a.example", path)]
    made += ["https://a.example%s" % path, "".join(["https://a.example", path])]  # noqa: UP031
    assert len(set(made)) == 1
    assert json.loads(json.dumps(path)) == path


NOBODIES = {"unknown": "Nobody", "impossible": "\u202e", "long": "x" * 10_000, "half": "\ud800", "empty": ""}


@pytest.mark.parametrize("name", NOBODIES.values(), ids=NOBODIES)
def test_nobody_else_does_and_the_answer_is_the_same(site: Site, name: str) -> None:
    """What happens before the answer does not depend on the name: no account is looked up, no record is touched."""
    visitor = site.browser()
    ask(site, "Somebody")  # which opens the namespace for the attempts
    site.posted()
    site.users.taken()
    site.tokens.calls.clear()
    asked = []
    for typed in ("Ada", name):
        act = partial(lambda typed, environ: site.auth.request_reset(environ, typed), typed)
        result, response = visitor.visit(act, method="POST")
        asked.append((result, response.status, response.headerlist, site.users.taken(), list(site.tokens.calls)))

    assert asked[0] == asked[1]
    assert asked[0][3:] == ([], [])
    assert [user.id for _, user, _ in site.posted()] == [site.ada.id]


def test_request_is_reported_with_what_came_of_it(site: Site) -> None:
    """Under the account if there is one, else under a pseudonym: people type passwords into the wrong field."""
    site.users.behind.set_active(site.register("Bob").id, False)
    for name in ("Ada", "Bob", "Nobody"):
        ask(site, name)
    site.posted()

    told = site.told("account.reset_requested")
    assert [(event.account, event.detail) for event in told[:2]] == [("ada", ""), ("bob", "inactive")]
    assert (told[2].user_id, told[2].detail) == (None, "unknown")
    assert "obody" not in repr(told)
    assert {event.client_address for event in told} == {"192.0.2.7"}


def test_no_event_shows_the_link(site: Site) -> None:
    """Whoever reads the log could use it."""
    ask(site, "Ada")
    ((_, _, path),) = site.posted()

    assert path is not None
    assert path.partition("=")[2] not in repr(site.events)


def test_an_auth_without_send_says_what_to_write() -> None:
    """Before anybody waits for a mail in vain."""
    site = AuthSite()

    def view(environ: Environ) -> None:
        with pytest.raises(ConfigError, match=r"send="):
            site.auth.request_reset(environ, "Ada")

    site.browser().do(view)
    assert site.auth.can_send is False


def test_another_sites_form_sends_no_mail(site: Site) -> None:
    """Nor does a link, or an image on some page."""

    def view(environ: Environ) -> None:
        with pytest.raises(CrossOriginRefused):
            site.auth.request_reset(environ, "Ada")

    site.browser().do(view, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})
    site.browser().do(view, method="GET")
    assert site.posted() == []


def test_outage_of_the_accounts_is_reported_and_not_shown(site: Site) -> None:
    """The visitor has the answer by then. An operator sees that a mail is missing."""
    site.users.broken["find_by_key"] = StoreUnavailable("down")
    ask(site, "Ada")
    assert site.posted() == []

    (event,) = site.told("send.failed")
    assert isinstance(event, Event)
    assert "reset: StoreUnavailable" in event.detail
