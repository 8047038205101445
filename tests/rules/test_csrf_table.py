"""Tokens for forms, and requests from other sites: who sent it, with which cookie, and what is accepted.

One table says it for every combination of what a browser says about a request and what a site has set. The rest of the
file is about time, other sites' tokens, overlapping requests, and cookies that a browser has kept back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Literal, NamedTuple

import pytest

from sessionware import Cookie, MemoryStore, Session, SessionManager, Timeouts
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite, SiteBrowser, View

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
#: A whole hour, so that a visitor's token made now is made at the beginning of its hour.
ON_THE_HOUR = 472_223 * HOUR

HOST = "shop.example"
OWN, PARTNER, STRANGER = "http://shop.example", "https://partner.example", "https://stranger.example"

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")

#: What a browser says about a form that our own page has sent.
OURS = {"Sec-Fetch-Site": "same-origin"}


def token(session: Session) -> str:
    return session.csrf_token


def accepts(value: str) -> View:
    return lambda session: session.check_csrf(value)


def log_in(session: Session) -> None:
    session.login("ada")


# The table ----------------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """One request, and what its site has set."""

    method: str
    fetch_site: str | None
    origin: str | None
    cookie: str
    trusts_partner: bool
    cross_origin: Literal["isolate", "allow"]


class Answer(NamedTuple):
    is_foreign: bool
    takes_visitors_token: bool
    takes_records_token: bool


LIVE = ("anonymous", "logged in")
COOKIES = ("none", "of another name", "unreadable", "of a session that is gone", *LIVE)


def expected(asked: Asked) -> Answer:
    """The rules, in the order in which they are written down."""
    is_unsafe = asked.method not in SAFE
    brings_our_name = asked.cookie not in ("none", "of another name")
    brings_ours = brings_our_name and asked.cookie != "unreadable"

    # Rule 13: another origin has no session by an unsafe method, unless it is trusted.
    if asked.fetch_site is not None:
        is_from_elsewhere = asked.fetch_site not in ("same-origin", "none")
        is_cross_site = asked.fetch_site == "cross-site"
    else:
        is_from_elsewhere = is_cross_site = asked.origin not in (None, OWN)
    is_trusted = asked.cross_origin == "allow" or (asked.trusts_partner and asked.origin == PARTNER)
    is_refused = is_unsafe and is_from_elsewhere and not is_trusted

    # Its second half: nor has a cross-site request whose cookie the browser may have kept back, which is Lax here. One
    # that nobody can open is not ours: somebody else has set it, and ours may be kept back all the same.
    may_be_kept_back = is_unsafe and is_cross_site and not brings_ours
    is_foreign = is_refused or may_be_kept_back

    # A visitor's token: whatever the method, from a page of our own, while nobody is logged in.
    if asked.fetch_site is not None:
        is_own_page = asked.fetch_site in ("same-origin", "none")
    elif asked.origin is not None:
        is_own_page = asked.origin == OWN
    else:
        is_own_page = not brings_our_name
    takes_visitors = is_own_page and asked.cookie != "logged in" and asked.cross_origin == "isolate"

    return Answer(is_foreign, takes_visitors, asked.cookie in LIVE and not is_foreign)


class World:
    """A site with a session of each kind, and the tokens of their forms."""

    def __init__(self, trusts_partner: bool, cross_origin: Literal["isolate", "allow"]) -> None:
        store = MemoryStore()
        maker = SessionManager(SECRET, store, clock=Clock())
        self.manager = SessionManager(
            SECRET,
            store,
            clock=Clock(),
            trusted_origins=[PARTNER] if trusts_partner else [],
            cross_origin=cross_origin,
        )
        self.visitors_token = maker.open(environ()).session.csrf_token
        self.cookies: dict[str, str | None] = {
            "none": None,
            "of another name": "other=1",
            "unreadable": "sid=" + 64 * "A",
        }
        self.tokens: dict[str, str] = {}
        for kind, begin in (("anonymous", Session.commit), ("logged in", log_in), (COOKIES[3], Session.commit)):
            self._begin(maker, kind, begin)
        gone = maker.open(environ(cookie=self.cookies[COOKIES[3]])).session.id
        assert gone is not None
        store.delete(bytes.fromhex(gone))

    def _begin(self, maker: SessionManager, kind: str, begin: Callable[[Session], object]) -> None:
        opened = maker.open(environ())
        begin(opened.session)
        opened.session.commit()
        self.cookies[kind] = f"sid={opened.cookie}"
        self.tokens[kind] = opened.session.csrf_token
        opened.finish()
        opened.close()

    def answer(self, asked: Asked) -> Answer:
        request = environ(asked.method, asked.fetch_site, asked.origin, self.cookies[asked.cookie])
        opened = self.manager.open(request)
        session = opened.session
        records_token = self.tokens.get(asked.cookie, self.tokens["anonymous"])
        answer = Answer(session.is_foreign, session.check_csrf(self.visitors_token), session.check_csrf(records_token))
        opened.finish()
        opened.close()
        return answer


def environ(
    method: str = "GET", fetch_site: str | None = None, origin: str | None = None, cookie: str | None = None
) -> dict[str, Any]:
    """The request of a browser that says only what is given."""
    said = {"HTTP_SEC_FETCH_SITE": fetch_site, "HTTP_ORIGIN": origin, "HTTP_COOKIE": cookie}
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": HOST,
        "wsgi.url_scheme": "http",
        **{name: value for name, value in said.items() if value is not None},
    }


@pytest.mark.parametrize("cross_origin", ["isolate", "allow"])
@pytest.mark.parametrize("trusts_partner", [False, True], ids=["trusts nobody", "trusts a partner"])
def test_who_sent_it_decides_what_is_accepted(trusts_partner: bool, cross_origin: Literal["isolate", "allow"]) -> None:
    """Every combination gets the answer that the rules above give."""
    world = World(trusts_partner, cross_origin)
    wrong = [
        (asked, f"is {answer}", f"should be {expected(asked)}")
        for asked in requests(trusts_partner, cross_origin)
        if (answer := world.answer(asked)) != expected(asked)
    ]

    assert not wrong, f"{len(wrong)} wrong, for example {wrong[0]}"


def requests(trusts_partner: bool, cross_origin: Literal["isolate", "allow"]) -> Iterator[Asked]:
    for method, fetch_site, origin, cookie in product(
        SAFE + UNSAFE,
        (None, "same-origin", "none", "same-site", "cross-site"),
        (None, OWN, PARTNER, STRANGER, "null"),
        COOKIES,
    ):
        yield Asked(method, fetch_site, origin, cookie, trusts_partner, cross_origin)


# The visitor's token ------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock(ON_THE_HOUR)


def test_page_with_a_form_stores_nothing(site: SessionSite) -> None:
    """No store call, no cookie; and caches learn that the page depends on one."""
    visit = site.browser().visit(lambda session: (session.csrf_token, session.is_new, session.id))

    assert visit.result[1:] == (True, None)
    assert (site.store.taken(), visit.set_cookies) == ([], [])
    assert visit.response.headers["Vary"] == "Cookie"


def test_form_of_a_first_page_is_accepted(site: SessionSite) -> None:
    """By the page itself and by the next one, from a browser that still has no cookie."""
    browser = site.browser()
    shown, is_good = browser.visit(lambda session: (session.csrf_token, session.check_csrf(session.csrf_token))).result

    assert is_good is True
    assert browser.visit(accepts(shown), method="POST", headers=OURS).result is True
    assert browser.visit(accepts(shown), method="POST").result is True
    assert site.store.taken() == []


def test_form_is_accepted_when_another_tab_has_begun_a_session_meanwhile(site: SessionSite) -> None:
    """The record is there by then, but nobody has logged in."""
    browser = site.browser()
    shown = browser.visit(token).result
    browser.visit(lambda session: session.update(n=1))

    assert browser.visit(accepts(shown), method="POST", headers=OURS).result is True
    assert browser.visit(accepts(shown), method="POST").result is False


@pytest.mark.parametrize(
    "begin",
    [
        lambda session: (session.csrf_token, session.update(n=1)),
        lambda session: (session.csrf_token, session.commit()),
        lambda session: (session.commit(), session.csrf_token),
    ],
    ids=["shown, then written", "shown, then stored", "stored, then shown"],
)
def test_form_of_the_page_that_begins_the_session_is_accepted(site: SessionSite, begin: View) -> None:
    """Whether the token was read before the session is stored, or after."""
    browser = site.browser()
    (shown,) = (value for value in browser.visit(begin).result if value is not None)

    assert browser.visit(accepts(shown), method="POST", headers=OURS).result is True


def test_token_is_made_once_a_request(site: SessionSite, clock: Clock) -> None:
    """A slow page shows the same one in all of its forms."""
    first, second = (
        site.browser().visit(lambda session: (session.csrf_token, clock.tick(2 * HOUR), session.csrf_token)[::2]).result
    )

    assert first == second


@pytest.mark.parametrize(
    ("later", "is_good"),
    [
        (0, True),
        (61 * MINUTE, True),
        (14 * DAY - 1, True),
        (14 * DAY + HOUR, False),  # the token is an hour, so this is the latest that it may be
        (-1, True),
        (-HOUR, True),
        (-HOUR - 1, False),
        (-DAY, False),
    ],
)
def test_form_is_good_for_as_long_as_an_anonymous_session(
    site: SessionSite, clock: Clock, later: int, is_good: bool
) -> None:
    """`Timeouts.anonymous`; and an hour ahead at most, for servers whose clocks differ."""
    shown = site.browser().visit(token).result

    clock.tick(later)

    assert site.browser().visit(accepts(shown), method="POST", headers=OURS).result is is_good


@pytest.mark.parametrize("minute", [0, 1, 30, 59])
def test_form_is_good_for_the_whole_limit_whatever_the_minute(clock: Clock, minute: int) -> None:
    """Also with a limit that is shorter than the hour that the token names."""
    site = SessionSite(clock=clock, timeouts=Timeouts(anonymous=10 * MINUTE))
    clock.tick(minute * MINUTE)
    shown = site.browser().visit(token).result

    clock.tick(10 * MINUTE - 1)
    assert site.browser().visit(accepts(shown), method="POST", headers=OURS).result is True
    clock.tick(HOUR + 1)
    assert site.browser().visit(accepts(shown), method="POST", headers=OURS).result is False


def test_visitors_token_is_refused_once_somebody_is_logged_in(site: SessionSite, browser: SiteBrowser) -> None:
    """A form from before the login does not act in the session after it."""
    shown = site.browser().visit(token).result
    assert browser.visit(accepts(shown), method="POST", headers=OURS).result is True

    browser.visit(log_in)

    assert browser.visit(accepts(shown), method="POST", headers=OURS).result is False


def test_visitors_token_is_refused_from_the_login_on(site: SessionSite) -> None:
    """Also in the rest of the request that logs in."""
    shown = site.browser().visit(token).result

    view = lambda session: (session.check_csrf(shown), log_in(session), session.check_csrf(shown))[::2]  # noqa: E731

    assert site.browser().visit(view, method="POST", headers=OURS).result == (True, False)


def test_visitors_token_is_good_for_its_own_site_only(clock: Clock) -> None:
    """Another secret, another cookie name and another namespace of the store are other sites."""
    store = MemoryStore()
    shown = SessionSite(store, clock).browser().visit(token).result
    others = {
        "same": SessionSite(store, clock),
        "secret": SessionSite(store, clock, secret="another secret, which is as long as the other one"),
        "cookie": SessionSite(store, clock, cookie=Cookie(name="other")),
        "namespace": SessionSite(store.namespace("shop"), clock),
    }

    answers = {
        name: other.browser().visit(accepts(shown), method="POST", headers=OURS).result
        for name, other in others.items()
    }

    assert answers == {"same": True, "secret": False, "cookie": False, "namespace": False}


def test_visitors_token_survives_a_rotation_of_the_secret(clock: Clock) -> None:
    """As long as the old secret opens cookies, it opens forms."""
    new = "a secret that is newer than the other one, and long enough"
    shown = SessionSite(clock=clock).browser().visit(token).result
    under_way, done = (SessionSite(clock=clock, secret=secret) for secret in ([new, SECRET], [new]))

    assert under_way.browser().visit(accepts(shown), method="POST", headers=OURS).result is True
    assert done.browser().visit(accepts(shown), method="POST", headers=OURS).result is False


@pytest.mark.parametrize(
    "spoil",
    [
        lambda shown: "",
        lambda shown: shown[:-1],
        lambda shown: shown + "A",
        lambda shown: shown + "=",
        lambda shown: ("B" if shown[0] == "A" else "A") + shown[1:],
        lambda shown: shown[:-2] + ("B" if shown[-2] == "A" else "A") + shown[-1],
        lambda shown: " " + shown,
        lambda shown: "é\ud800",
        lambda shown: "\0",
        lambda shown: "A" * 100_000,
    ],
)
def test_spoilt_token_is_refused(site: SessionSite, spoil: Callable[[str], str]) -> None:
    """And is never an error."""
    browser = site.browser()
    shown = browser.visit(token).result

    assert browser.visit(accepts(spoil(shown)), method="POST", headers=OURS).result is False


def test_cookie_is_no_token_and_a_token_is_no_cookie(site: SessionSite, browser: SiteBrowser) -> None:
    """Each is sealed for its own purpose."""
    cookie = browser.cookies["sid"]
    shown = site.browser().visit(token).result

    assert browser.visit(accepts(cookie), method="POST", headers=OURS).result is False
    assert site.browser().visit(lambda session: session.copy(), headers={"Cookie": f"sid={shown}"}).result == {}


def test_token_of_a_pending_login_is_the_one_that_the_session_will_have(site: SessionSite) -> None:
    """A page that a login renders has a form that works."""
    for browser in (site.browser(), site.browser()):
        shown = browser.visit(lambda session: (log_in(session), session.csrf_token)[1]).result
        assert browser.visit(accepts(shown), method="POST").result is True


@pytest.mark.parametrize(
    "begin",
    [
        lambda session: None,
        lambda session: session.update(n=1),
        lambda session: session.commit(),
        lambda session: session.renew_csrf(),
        lambda session: session.renew_token(),
        log_in,
        lambda session: (log_in(session), session.commit()),
        lambda session: session.invalidate(),
    ],
    ids=["nothing", "write", "commit", "renew_csrf", "renew_token", "login", "login and commit", "invalidate"],
)
@pytest.mark.parametrize("cross_origin", ["isolate", "allow"])
@pytest.mark.parametrize("has_session", [False, True], ids=["no session", "session"])
def test_token_that_a_request_shows_is_one_that_it_accepts(
    clock: Clock, begin: View, cross_origin: Literal["isolate", "allow"], has_session: bool
) -> None:
    """Whatever it has done before, and the next request accepts it too."""
    site = SessionSite(clock=clock, cross_origin=cross_origin)
    browser = site.browser()
    if has_session:
        browser.visit(lambda session: session.update(n=1))

    def view(session: Session) -> tuple[str, bool]:
        begin(session)
        shown = session.csrf_token
        return shown, session.check_csrf(shown)

    shown, is_good = browser.visit(view, method="POST", headers=OURS).result

    assert (is_good, browser.visit(accepts(shown), method="POST", headers=OURS).result) == (True, True)


# renew_csrf() -------------------------------------------------------------------------------------------------------


def test_renew_csrf_refuses_what_was_shown_before(site: SessionSite, browser: SiteBrowser) -> None:
    """The record's own token and visitor's tokens, by one write that sends no cookie."""
    of_visitor, of_record = site.browser().visit(token).result, browser.visit(token).result
    site.store.taken()

    renewal = browser.visit(lambda session: session.renew_csrf(), method="POST")
    calls = site.store.taken()
    shown = browser.visit(token).result

    assert (calls, renewal.set_cookies) == (["load", "replace"], [])
    answers = [
        browser.visit(accepts(value), method="POST", headers=OURS).result for value in (of_visitor, of_record, shown)
    ]
    assert answers == [False, False, True]


def test_renew_csrf_shows_at_once(site: SessionSite, browser: SiteBrowser) -> None:
    """In the request that does it, too, and what it shows is good afterwards."""

    of_visitor = site.browser().visit(token).result

    def view(session: Session) -> tuple[str, list[str]]:
        before = session.csrf_token
        session.renew_csrf()
        given = {"visitor's": of_visitor, "before": before, "now": session.csrf_token}
        return session.csrf_token, [name for name, value in given.items() if session.check_csrf(value)]

    for each in (browser, site.browser()):
        shown, good = each.visit(view, method="POST", headers=OURS).result
        assert good == ["now"]
        assert each.visit(accepts(shown), method="POST").result is True


def test_renew_csrf_begins_a_session(site: SessionSite) -> None:
    """Otherwise there would be nothing to refuse visitor's tokens."""
    browser = site.browser()
    of_visitor = browser.visit(token).result

    renewal = browser.visit(lambda session: session.renew_csrf(), method="POST", headers=OURS)
    shown = browser.visit(token).result

    assert (len(site.store.records), len(renewal.set_cookies)) == (1, 1)
    answers = [browser.visit(accepts(value), method="POST", headers=OURS).result for value in (of_visitor, shown)]
    assert answers == [False, True]


def test_renew_csrf_stays_after_a_renewed_token(site: SessionSite, browser: SiteBrowser) -> None:
    """A new token for the cookie does not let visitor's tokens in again."""
    of_visitor = site.browser().visit(token).result
    browser.visit(lambda session: session.renew_csrf(), method="POST")

    browser.visit(lambda session: session.renew_token(), method="POST")

    assert browser.visit(accepts(of_visitor), method="POST", headers=OURS).result is False


def test_renew_csrf_keeps_what_was_begun_before(site: SessionSite, browser: SiteBrowser) -> None:
    """It begins no epoch: a write that overlaps it is saved, and the cookie stays good."""
    cookies = browser.cookies

    def slow(session: Session) -> None:
        session["late"] = True
        browser.tab().visit(lambda other: other.renew_csrf(), method="POST")

    browser.visit(slow)

    assert browser.read() == {"n": 1, "late": True}
    assert (browser.cookies, site.told("session.write_discarded", "session.renewed")) == (cookies, [])


def test_renew_csrf_is_exact(browser: SiteBrowser) -> None:
    """Two at once are two: the token of either is refused afterwards, except for the last one's."""
    shown: list[str] = [browser.visit(token).result]

    def renew(session: Session) -> str:
        session.renew_csrf()
        session.commit()
        return session.csrf_token

    def slow(session: Session) -> str:
        session.renew_csrf()
        shown.append(browser.tab().visit(renew, method="POST").result)
        session.commit()
        return session.csrf_token

    shown.append(browser.visit(slow, method="POST").result)

    assert len(set(shown)) == 3
    assert [browser.visit(accepts(value), method="POST").result for value in shown] == [False, False, True]


def test_renew_csrf_twice_in_one_request_is_one_session(site: SessionSite, browser: SiteBrowser) -> None:
    """And the token in hand is the one that holds."""

    def view(session: Session) -> str:
        session.renew_csrf()
        session.renew_csrf()
        return session.csrf_token

    shown = browser.visit(view, method="POST").result

    assert browser.visit(accepts(shown), method="POST").result is True
    assert len(site.store.records) == 1


def test_renew_csrf_is_dropped_with_a_server_error(browser: SiteBrowser) -> None:
    """As any other change."""
    shown = browser.visit(token).result

    browser.visit(lambda session: session.renew_csrf(), method="POST", status="500 Internal Server Error")

    assert browser.visit(accepts(shown), method="POST").result is True


def test_renew_csrf_of_another_site_is_dropped_and_told(site: SessionSite, browser: SiteBrowser) -> None:
    """Nobody else decides which forms are good."""
    shown = browser.visit(token).result

    visit = browser.visit(
        lambda session: session.renew_csrf(),
        method="POST",
        headers={"Sec-Fetch-Site": "cross-site", "Origin": STRANGER},
    )

    assert visit.set_cookies == []
    assert browser.visit(accepts(shown), method="POST").result is True
    (told,) = site.told("session.write_discarded")
    assert "renew_csrf" in str(told.detail)


@pytest.mark.parametrize("replace", [log_in, Session.renew_token, Session.invalidate])
def test_renew_csrf_of_a_detached_request_is_dropped_and_told(
    site: SessionSite, browser: SiteBrowser, replace: View
) -> None:
    """Its cookie was replaced, or its session ended."""
    late = browser.tab()
    browser.visit(replace, method="POST")
    shown = browser.visit(token).result

    visit = late.visit(lambda session: session.renew_csrf(), method="POST")

    assert visit.set_cookies == []
    assert browser.visit(accepts(shown), method="POST", headers=OURS).result is True
    (told,) = site.told("session.write_discarded")
    assert "renew_csrf" in str(told.detail)


@pytest.mark.parametrize("replace", [log_in, Session.renew_token, Session.invalidate])
def test_renew_csrf_that_loses_is_told(site: SessionSite, browser: SiteBrowser, replace: View) -> None:
    """What was begun before a login, a renewal or an end does not land after it, even without a key."""

    def slow(session: Session) -> None:
        session.renew_csrf()
        browser.tab().visit(replace, method="POST")

    visit = browser.visit(slow, method="POST")

    assert visit.set_cookies == []
    (told,) = site.told("session.write_discarded")
    assert "renew_csrf" in str(told.detail)


# Late requests ------------------------------------------------------------------------------------------------------


def submit(form: str) -> View:
    """A login form's page, which is careful."""

    def view(session: Session) -> bool:
        is_good = session.check_csrf(form)
        if is_good:
            session.login("ada")
        return is_good

    return view


def test_second_click_on_a_login_form_reaches_the_login(site: SessionSite, browser: SiteBrowser) -> None:
    """Its cookie is the one from before the first click, and so is the token of its form."""
    form = browser.visit(token).result
    late = browser.tab()
    browser.visit(submit(form), method="POST", headers=OURS)

    assert late.visit(submit(form), method="POST", headers=OURS).result is True
    assert late.visit(lambda session: (session.username, session.copy())).result == ("ada", {"n": 1})


def test_second_click_on_a_first_visitors_login_form_reaches_the_login(site: SessionSite) -> None:
    """The form was made before there was a record, so it has a visitor's token."""
    browser = site.browser()
    form = browser.visit(token).result
    browser.visit(lambda session: session.update(n=1))
    late = browser.tab()
    browser.visit(submit(form), method="POST", headers=OURS)

    assert late.visit(submit(form), method="POST", headers=OURS).result is True
    assert late.visit(lambda session: session.username).result == "ada"


@pytest.mark.parametrize(
    ("headers", "is_good"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://localhost"}, True),
        ({}, False),
        ({"Origin": STRANGER}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
@pytest.mark.parametrize("replace", [log_in, Session.renew_token, Session.invalidate])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_detached_request_takes_visitors_tokens_from_our_own_pages(
    site: SessionSite, browser: SiteBrowser, replace: View, headers: dict[str, str], is_good: bool, method: str
) -> None:
    """Under the same conditions as any other request; for this one, nobody is logged in."""
    of_visitor = site.browser().visit(token).result
    late = browser.tab()
    browser.visit(replace)

    assert late.visit(accepts(of_visitor), method=method, headers=headers).result is is_good


def test_detached_request_takes_no_token_of_an_ended_session(browser: SiteBrowser) -> None:
    """There is no form left to be sent."""
    form = browser.visit(token).result
    late = browser.tab()
    browser.visit(Session.invalidate)

    assert late.visit(accepts(form), method="POST", headers=OURS).result is False


def test_detached_request_takes_no_token_that_is_two_logins_old(browser: SiteBrowser) -> None:
    """The epoch before, and none before that."""
    form = browser.visit(token).result
    late = browser.tab()
    browser.visit(Session.renew_token)
    assert late.visit(accepts(form), method="POST", headers=OURS).result is True

    browser.visit(Session.renew_token)

    assert late.visit(accepts(form), method="POST", headers=OURS).result is False


def test_detached_request_takes_no_token_that_renew_csrf_has_refused(browser: SiteBrowser) -> None:
    """What the session refuses, its late requests refuse too."""
    form = browser.visit(token).result
    late = browser.tab()
    browser.visit(Session.renew_token)
    browser.visit(lambda session: session.renew_csrf(), method="POST")

    assert late.visit(accepts(form), method="POST", headers=OURS).result is False


@pytest.mark.parametrize("replace", [log_in, Session.renew_token])
def test_second_click_is_heard_after_renew_csrf_too(browser: SiteBrowser, replace: View) -> None:
    """The form that was good right before is taken, and the one that was refused by then is not."""
    refused = browser.visit(token).result
    browser.visit(lambda session: session.renew_csrf(), method="POST")
    form = browser.visit(token).result
    late = browser.tab()

    browser.visit(replace, method="POST")

    answers = [late.visit(accepts(value), method="POST", headers=OURS).result for value in (refused, form)]
    assert answers == [False, True]


def test_token_of_before_a_login_is_refused_by_the_session_after_it(browser: SiteBrowser) -> None:
    """Only a detached request takes it, which can do nothing in that session but log in."""
    form = browser.visit(token).result

    browser.visit(log_in)

    assert browser.visit(accepts(form), method="POST", headers=OURS).result is False


def test_detached_request_shows_a_visitors_token(site: SessionSite, browser: SiteBrowser) -> None:
    """And asks nothing of anybody for it: no write, no cookie."""
    late = browser.tab()
    browser.visit(log_in)
    site.store.taken()

    visit = late.visit(token)

    assert (site.store.taken(), visit.set_cookies) == (["load"], [])
    assert site.browser().visit(accepts(visit.result), method="POST", headers=OURS).result is True


# Where nobody says where a request comes from -----------------------------------------------------------------------


def test_where_origins_are_not_asked_a_form_begins_the_session(clock: Clock) -> None:
    """With `cross_origin="allow"` a visitor's token would protect nothing, so the record's own is shown."""
    of_visitor = SessionSite(clock=clock).browser().visit(token).result
    site = SessionSite(clock=clock, cross_origin="allow")
    browser = site.browser()

    visit = browser.visit(token)

    assert (len(site.store.records), len(visit.set_cookies)) == (1, 1)
    assert browser.visit(accepts(visit.result), method="POST").result is True
    assert site.browser().visit(accepts(visit.result), method="POST").result is False
    for headers in ({}, OURS):
        assert site.browser().visit(accepts(of_visitor), method="POST", headers=headers).result is False
        assert browser.visit(accepts(of_visitor), method="POST", headers=headers).result is False


def test_where_origins_are_not_known_a_form_begins_the_session(clock: Clock) -> None:
    """A cookie's value alone says nothing about the request that brought it."""
    manager = SessionManager(SECRET, MemoryStore(), clock=clock)
    of_visitor = manager.open(environ()).session.csrf_token
    first = manager.open()
    shown = first.session.csrf_token
    assert first.session.check_csrf(of_visitor) is False
    first.finish()
    first.close()
    assert first.cookie is not None

    session = manager.open(cookie=first.cookie).session

    assert (session.is_new, session.check_csrf(shown), session.check_csrf(of_visitor)) == (False, True, False)


# Rule 13, its second half: a cookie that the browser may have kept back ---------------------------------------------

CROSS_SITE: dict[str, dict[str, str]] = {
    "says so": {"Sec-Fetch-Site": "cross-site"},
    "says so, from a partner": {"Sec-Fetch-Site": "cross-site", "Origin": PARTNER},
    "says so, from a stranger": {"Sec-Fetch-Site": "cross-site", "Origin": STRANGER},
    "older browser, from a partner": {"Origin": PARTNER},
    "older browser, from a stranger": {"Origin": STRANGER},
    "sandboxed page": {"Origin": "null"},
}

SAME_SITE: dict[str, dict[str, str]] = {
    "our own page": OURS,
    "typed in": {"Sec-Fetch-Site": "none"},
    "no browser": {},
}


def may_have_kept_it_back(samesite: str, method: str) -> bool:
    """Whether a cross-site request by this method comes without a cookie that the browser has."""
    return {"Lax": method not in SAFE, "Strict": True, "None": False}[samesite]


@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
@pytest.mark.parametrize("settings", [{}, {"trusted_origins": [PARTNER]}, {"cross_origin": "allow"}], ids=str)
@pytest.mark.parametrize("sent", CROSS_SITE)
def test_rule_13_cross_site_request_sets_no_cookie_where_the_browser_may_have_kept_it_back(
    clock: Clock, samesite: Literal["Lax", "Strict", "None"], settings: dict[str, Any], sent: str
) -> None:
    """It looks empty, stores nothing, and what it writes is told. Any other cross-site request is an ordinary visit."""
    headers = CROSS_SITE[sent]
    is_trusted = "cross_origin" in settings or ("trusted_origins" in settings and headers.get("Origin") == PARTNER)
    for method in (*SAFE, *UNSAFE):
        site = SessionSite(clock=clock, cookie=Cookie(samesite=samesite, secure=True), **settings)
        is_kept_back = may_have_kept_it_back(samesite, method)
        is_foreign = is_kept_back or (method not in SAFE and not is_trusted)

        visit = site.browser().visit(
            lambda session: (session.is_foreign, session.update(n=1)), method=method, headers=headers, scheme="https"
        )

        assert visit.result[0] is is_foreign, method
        assert (len(visit.set_cookies), len(site.store.records)) == ((0, 0) if is_foreign else (1, 1)), method
        assert [event.keys for event in site.told("session.write_discarded")] == [("n",)] * is_foreign, method
        if is_kept_back and (is_trusted or method in SAFE):
            assert site.told("session.cross_origin") == [], f"{method}: a link may lead here"


@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
@pytest.mark.parametrize("sent", SAME_SITE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rule_13_request_of_this_site_is_an_ordinary_visit(
    clock: Clock, samesite: Literal["Lax", "Strict", "None"], sent: str, method: str
) -> None:
    """Without a cookie it is a first visit, and begins a session."""
    site = SessionSite(clock=clock, cookie=Cookie(samesite=samesite, secure=True))

    visit = site.browser().visit(
        lambda session: (session.is_foreign, session.update(n=1)),
        method=method,
        headers=SAME_SITE[sent],
        scheme="https",
    )

    assert (visit.result[0], len(visit.set_cookies)) == (False, 1)


@pytest.mark.parametrize("samesite", ["Lax", "Strict"])
def test_rule_13_sibling_domain_is_not_cross_site(clock: Clock, samesite: Literal["Lax", "Strict"]) -> None:
    """Browsers send it the cookie, so one that is missing was not kept back."""
    sibling = "https://api.partner.example"
    site = SessionSite(clock=clock, cookie=Cookie(samesite=samesite, secure=True), trusted_origins=[sibling])

    visit = site.browser().visit(
        lambda session: (session.is_foreign, session.update(n=1)),
        method="POST",
        headers={"Sec-Fetch-Site": "same-site", "Origin": sibling},
        scheme="https",
    )

    assert (visit.result[0], len(visit.set_cookies)) == (False, 1)


@pytest.mark.parametrize("settings", [{"trusted_origins": [PARTNER]}, {"cross_origin": "allow"}], ids=str)
@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site", "Origin": PARTNER}, {"Origin": PARTNER}], ids=["new", "older browser"]
)
@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.update(n=2),
        lambda session: session.flash("hello"),
        lambda session: session.csrf_token,
        lambda session: session.renew_csrf(),
        lambda session: session.commit(),
        lambda session: (session.update(n=2), session.remember(DAY)),
        lambda session: session.login("mallory"),
        lambda session: session.renew_token(),
        lambda session: session.clear(),
        lambda session: session.invalidate(),
    ],
)
def test_rule_13_form_of_a_trusted_site_does_not_log_the_visitor_out(
    clock: Clock, settings: dict[str, Any], headers: dict[str, str], act: View
) -> None:
    """It comes without the Lax cookie, and whatever the page does, the browser keeps the session that it has."""
    site = SessionSite(clock=clock, **settings)
    browser = site.browser()
    browser.visit(lambda session: (session.update(n=1), log_in(session)))
    form = site.browser()  # the same browser, which keeps its cookie back

    visit = form.visit(act, method="POST", headers=headers)
    for cookie in form.client.cookiejar:
        browser.client.cookiejar.set_cookie(cookie)

    assert visit.set_cookies == []
    assert browser.visit(lambda session: (session.username, session["n"])).result == ("ada", 1)
    assert len(site.store.records) == 1


def test_rule_13_first_visit_by_a_link_is_an_ordinary_visit(site: SessionSite) -> None:
    """Under Lax a browser sends its cookie along with a link, so one that is missing does not exist."""
    browser = site.browser()

    visit = browser.visit(lambda session: session.update(n=1), headers={"Sec-Fetch-Site": "cross-site"})

    assert (len(visit.set_cookies), browser.read()) == (1, {"n": 1})


def test_rule_13_link_under_strict_leaves_the_visitor_logged_in(clock: Clock) -> None:
    """The page behind the link looks empty, and the next one, without the link, is the visitor's own again."""
    site = SessionSite(clock=clock, cookie=Cookie(samesite="Strict"))
    browser = site.browser()
    browser.visit(log_in)
    link = site.browser()

    visit = link.visit(
        lambda session: (session.is_foreign, session.username, session.update(n=1)),
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert (visit.result[:2], visit.set_cookies) == ((True, None), [])
    assert browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {})


def test_rule_13_cross_site_request_that_brings_the_cookie_acts_in_the_session(clock: Clock) -> None:
    """What was not kept back is there: a trusted site's form works as ever."""
    site = SessionSite(clock=clock, trusted_origins=[PARTNER])
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    browser.visit(
        lambda session: session.update(n=2), method="POST", headers={"Sec-Fetch-Site": "cross-site", "Origin": PARTNER}
    )

    assert browser.read() == {"n": 2}
