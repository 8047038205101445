"""What ASVS 5.0 and NIST SP 800-63B-4 ask for, where no other test is about it. docs/security.md has every row."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import queue
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from webtest import TestApp

import dev
from sessionware import (
    LoginFailed,
    NotFresh,
    PasswordRejected,
    SQLiteStore,
    Throttled,
    Timeouts,
    TokenInvalid,
    TooManySessions,
    get_session,
)
from sessionware._core import csrf, lookup
from sessionware.auth import (
    Argon2Hasher,
    Auth,
    AuthPages,
    MemoryUsers,
    PasswordPolicy,
    SQLiteUsers,
    Throttle,
    User,
    Users,
    Verified,
)
from tests.project.pages import blocks
from tests.support.auth_kit import CHEAP, PASSWORD, THROTTLE, AuthBrowser, AuthSite

NEW_PASSWORD = "another horse of quite another colour"
OTHER_SECRET = "Tr0ub4dor&3 and a horse of quite another colour"
COMMON_PASSWORD = "passwordpassword1"
PAGE = (dev.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
UNITS = {"seconds": 1, "hours": 3600, "days": 86400}


class Sent(NamedTuple):
    """What `send` was called with."""

    purpose: str
    user: User
    path: str | None


class Site(AuthSite):
    """A site that sends messages, which come out of `outbox` in order. `settings` are those of its `Auth`."""

    def __init__(self, users: Users | None = None, **settings: Any) -> None:
        super().__init__(users)
        self.outbox: queue.Queue[Sent] = queue.Queue()
        self.is_sending, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.auth = Auth(self.users, **{"hasher": self.hasher, "send": self.send, **settings})

    def send(self, purpose: str, user: User, path: str | None) -> None:
        self.is_sending.set()
        assert self.gate.wait(10)
        self.outbox.put(Sent(purpose, user, path))

    def next_sent(self, purpose: str) -> Sent:
        """The next message for this purpose, which may take a moment."""
        sent = self.outbox.get(timeout=10)
        return sent if sent.purpose == purpose else self.next_sent(purpose)


@pytest.fixture
def site() -> Site:
    site = Site()
    site.register("Ada")
    return site


def is_right(site: AuthSite, password: str, username: str = "Ada") -> bool:
    """Whether this is the account's password."""
    try:
        site.auth.authenticate(site.manager, username, password)
    except LoginFailed:
        return False
    return True


def outcomes(count: int, act: Callable[[], object]) -> list[str]:
    """What comes of doing it so many times: "done", or the name of the error."""
    found = []
    for _ in range(count):
        try:
            act()
        except (LoginFailed, Throttled) as error:
            found.append(type(error).__name__)
        else:
            found.append("done")
    return found


# What the page says


def test_lifetimes_on_the_page_are_the_defaults() -> None:
    """ASVS 5.0 7.1.1: they are documented, each with its reason."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) (\w+) \| (.{20,}) \|$", PAGE, re.MULTILINE)
    said = {name: int(number) * UNITS[unit] for name, number, unit, _ in rows}

    assert said == {name: getattr(Timeouts(), name) for name in ("idle", "lifetime", "remember", "remember_lifetime")}


def test_limit_of_sessions_on_the_page_is_the_default() -> None:
    """ASVS 5.0 7.1.2: their number, and what happens at the limit."""
    parameters = inspect.signature(Auth.__init__).parameters
    (said,) = re.findall(r"An account has at most (\d+) sessions\. The login that is one too many ends the one", PAGE)

    assert parameters["session_limit"].default == int(said)
    assert parameters["when_full"].default == "end_oldest"


def test_lanes_on_the_page_are_the_defaults() -> None:
    """ASVS 5.0 6.1.1: how guessing is slowed down, with numbers, and how nobody is locked out by that."""
    page = (dev.ROOT / "docs" / "throttling.md").read_text(encoding="utf-8")

    for lane in ("client", "pair", "account", "device", "register", "reset"):
        rate = getattr(Throttle(), lane)
        assert re.search(rf"\b{lane}\b.*\b{rate.burst}\b.*\b{rate.period}\b", page), lane
    assert re.search("lock(ed)? out|lockout", page)


# Tokens


def test_every_login_has_a_token_of_its_own(site: Site) -> None:
    """ASVS 5.0 7.2.2. No two are alike, in one browser or in several."""
    browser = site.browser()
    cookies = set()
    for _ in range(5):
        browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))
        cookies |= {browser.cookies["sid"], site.logged_in("Ada").cookies["sid"]}

    assert len(cookies) == 10


@pytest.mark.interpreted
def test_tokens_are_128_random_bits_at_least(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASVS 5.0 7.2.3 and 11.5.1, NIST SP 800-63B-4 §5.1: from the operating system, and not derived from anything."""
    asked: list[int] = []
    chance = site.manager._site.records._chance

    def random_bytes(size: int) -> bytes:
        asked.append(size)
        return chance.random_bytes(size)

    assert chance.random_bytes.__module__ == "posix" or chance.random_bytes.__name__ == "urandom"
    monkeypatch.setattr(site.manager._site.records, "_chance", chance._replace(random_bytes=random_bytes))
    site.logged_in("Ada")

    assert len(asked) >= 2  # the record's id, and the token
    assert min(asked) * 8 >= 128


@pytest.mark.interpreted
def test_tokens_are_compared_in_constant_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASVS 5.0 11.2.4. Those of sessions, and those of forms."""
    compared: list[str] = []
    for module in (lookup, csrf):

        def compare_digest(one: Any, other: Any, name: str = module.__name__) -> bool:
            compared.append(name.rpartition(".")[2])
            return hmac.compare_digest(one, other)

        monkeypatch.setattr(module, "compare_digest", compare_digest)
    browser = site.logged_in("Ada")
    compared.clear()

    browser.do(lambda environ: get_session(environ).check_csrf("a" * 43))

    assert set(compared) == {"lookup", "csrf"}


def test_cookies_are_small(site: Site) -> None:
    """ASVS 5.0 3.3.5: at most 4096 bytes, whatever the session holds."""
    browser = site.logged_in("Ada")
    browser.do(lambda environ: get_session(environ).update(much="x" * 200_000))

    assert len(browser.cookies["sid"]) == 64
    assert max(len(name) + len(value) for name, value in browser.client.cookies.items()) < 4096


def test_known_browser_is_nobody(site: Site) -> None:
    """ASVS 5.0 14.3.3: the cookie by which a browser is known opens nothing."""
    browser = site.logged_in("Ada")
    others = {name: value for name, value in browser.client.cookies.items() if name != "sid"}
    assert list(others) == ["sid_known"]

    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in others.items())}

    assert site.browser().visit(site.auth.user, headers=headers)[0] is None
    for value in others.values():
        assert site.browser().visit(site.auth.user, headers={"Cookie": f"sid={value}"})[0] is None


def test_only_who_asks_is_remembered(site: Site) -> None:
    """NIST SP 800-63B-4 §5.1: a session's cookie ends with the browser, unless the person wants it otherwise."""

    def cookie(**how: Any) -> str:
        _, response = site.browser().visit(
            lambda environ: site.auth.login(environ, "Ada", PASSWORD, **how), method="POST"
        )
        (line,) = [line for line in response.headers.getall("Set-Cookie") if line.startswith("sid=")]
        return str(line)

    (seconds,) = re.findall(r"Max-Age=(\d+)", cookie(remember=True))

    assert int(seconds) == Timeouts().remember
    assert not re.search("Max-Age|Expires", cookie())


# Ends


def test_disabling_an_account_ends_its_sessions(site: Site) -> None:
    """ASVS 5.0 7.4.2. Nothing of them is left, and nobody can log in."""
    browser, user = site.logged_in("Ada"), site.users.find_by_key("ada")

    site.auth.set_active(site.manager, user.id, False)

    assert site.manager.of(user_id=user.id) == []
    assert browser.who() is None
    assert not is_right(site, PASSWORD)


def test_changing_the_password_ends_the_other_sessions(site: Site) -> None:
    """ASVS 5.0 7.4.3. This one goes on, under a new token, and the others are told why they are over."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    before = browser.copied()

    browser.do(lambda environ: site.auth.change_password(environ, PASSWORD, NEW_PASSWORD))

    assert (browser.who(), other.who()) == ("Ada", None)
    assert other.do(lambda environ: get_session(environ).ended_because, method="GET") == "password"
    site.clock.tick(61)
    assert (browser.who(), before.who()) == ("Ada", None)


def test_setting_the_password_anew_ends_all_sessions(site: Site) -> None:
    """ASVS 5.0 7.4.3. Whoever forgot it may not have been the only one who knew it."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")

    browser.do(lambda environ: site.auth.reset_password(environ, site.token(), NEW_PASSWORD))

    assert (browser.who(), other.who()) == (None, None)


def test_administrator_ends_the_sessions_of_one_user(site: Site) -> None:
    """ASVS 5.0 7.4.5. Nobody else's."""
    site.register("Bob")
    adas, bobs = [site.logged_in("Ada"), site.logged_in("Ada")], site.logged_in("Bob")

    ended = site.auth.end_all(site.manager, site.users.find_by_key("ada").id)

    assert ended == 2
    assert [browser.who() for browser in (*adas, bobs)] == [None, None, "Bob"]


def test_new_secret_ends_the_sessions_of_everybody(site: Site) -> None:
    """ASVS 5.0 7.4.5."""
    browser = site.logged_in("Ada")
    after = AuthSite(site.users.behind, store=site.store, secret=OTHER_SECRET)

    assert AuthBrowser(after, browser.client.cookiejar).who() is None


# Another proof


def asks(site: Site, browser: AuthBrowser, **what: Any) -> tuple[str, ...] | None:
    """What a page that asks for it is still missing; None if it lets this browser in."""

    def page(environ: dict[str, Any]) -> tuple[str, ...] | None:
        try:
            site.auth.require_user(environ, **what)
        except NotFresh as error:
            return tuple(error.methods)
        return None

    missing: tuple[str, ...] | None = browser.do(page, method="GET")
    return missing


def test_page_can_ask_for_the_password_once_more(site: Site) -> None:
    """ASVS 5.0 7.5.1. A quarter of an hour after the login, here, and a wrong one is none."""
    browser = site.logged_in("Ada")
    assert asks(site, browser, fresh=900) is None
    site.clock.tick(901)
    assert asks(site, browser, fresh=900) is not None

    with pytest.raises(LoginFailed):
        browser.do(lambda environ: site.auth.confirm(environ, "not the password"))
    assert asks(site, browser, fresh=900) is not None

    browser.do(lambda environ: site.auth.confirm(environ, PASSWORD))
    assert asks(site, browser, fresh=900) is None


def test_page_can_ask_for_a_second_factor(site: Site) -> None:
    """ASVS 5.0 7.5.3. The application checks it, and says so."""
    browser = site.logged_in("Ada")
    assert asks(site, browser, methods=("totp",)) == ("totp",)

    browser.do(lambda environ: get_session(environ).renew_token(methods=("totp",)))

    assert asks(site, browser, methods=("totp",), fresh=900) is None
    site.clock.tick(901)
    assert "totp" in (asks(site, browser, methods=("totp",), fresh=900) or ())


def test_confirming_gives_a_new_token(site: Site) -> None:
    """ASVS 5.0 7.2.4. The old one is dead."""
    browser = site.logged_in("Ada")
    before = browser.copied()

    browser.do(lambda environ: site.auth.confirm(environ, PASSWORD))

    assert browser.cookies["sid"] != before.cookies["sid"]
    site.clock.tick(61)
    assert (browser.who(), before.who()) == ("Ada", None)


def test_confirming_begins_both_limits_anew(site: Site) -> None:
    """NIST SP 800-63B-4 §5.2: the one for inactivity, and the one for all."""
    browser = site.logged_in("Ada")
    lifetime, idle = 7 * 86400, 12 * 3600
    assert Timeouts() == Timeouts(lifetime=lifetime, idle=idle)
    for _ in range(lifetime // idle * 2 - 1):
        site.clock.tick(idle // 2)
        assert browser.who() == "Ada"
    browser.do(lambda environ: site.auth.confirm(environ, PASSWORD))

    site.clock.tick(idle - 60)
    assert browser.who() == "Ada"
    site.clock.tick(idle + 60)
    assert browser.who() is None


# Passwords


def test_changing_the_password_takes_the_old_one_and_a_new_one(site: Site) -> None:
    """ASVS 5.0 6.2.2 and 6.2.3."""
    browser = site.logged_in("Ada")
    with pytest.raises(LoginFailed):
        browser.do(lambda environ: site.auth.change_password(environ, "not the password", NEW_PASSWORD))
    assert is_right(site, PASSWORD)

    browser.do(lambda environ: site.auth.change_password(environ, PASSWORD, NEW_PASSWORD))

    assert (is_right(site, NEW_PASSWORD), is_right(site, PASSWORD)) == (True, False)


WAYS: dict[str, Callable[[Site, str], object]] = {
    "registering": lambda site, new: site.auth.register(site.manager, "Teashop", new, login=False),
    "changing": lambda site, new: site.logged_in("Ada").do(
        lambda environ: site.auth.change_password(environ, PASSWORD, new)
    ),
    "setting anew": lambda site, new: site.auth.reset_password(site.manager, site.token(), new),
}

wherever_one_is_set = pytest.mark.parametrize("set_password", WAYS.values(), ids=WAYS)


@wherever_one_is_set
def test_common_passwords_are_refused_wherever_one_is_set(
    site: Site, set_password: Callable[[Site, str], object]
) -> None:
    """ASVS 5.0 6.2.4, NIST SP 800-63B-4 §3.1.1.2: with a reason, and then with another one it works."""
    for password in (COMMON_PASSWORD, "Qwertyuiop123456", "iloveyouiloveyou", "aaaaaaaaaaaaaaaa"):
        with pytest.raises(PasswordRejected) as rejected:
            set_password(site, password)
        assert rejected.value.reason == "common"
        assert len(rejected.value.message) > 20

    set_password(site, NEW_PASSWORD)


@pytest.mark.parametrize("username", ["margaret.hamilton@apollo.example", "margarethamilton"])
@pytest.mark.parametrize("password", ["apollo-apollo-apollo", "Apollo1234567890", "pohsaetpohsaet1"])
def test_words_of_the_context_are_refused(username: str, password: str) -> None:
    """ASVS 5.0 6.1.2 and 6.2.11: those that the site lists, and for each person the parts of the username."""
    site = Site(policy=PasswordPolicy(words=("tea-shop", "apollo")))

    with pytest.raises(PasswordRejected) as rejected:
        site.auth.register(site.manager, username, password, login=False)

    assert rejected.value.reason == "context"


@wherever_one_is_set
def test_breached_passwords_are_refused(set_password: Callable[[Site, str], object]) -> None:
    """ASVS 5.0 6.2.12: those that a function of the application's knows."""
    site = Site(policy=PasswordPolicy(breached=lambda password: password.endswith("battery")))
    site.register("Ada")

    with pytest.raises(PasswordRejected) as rejected:
        set_password(site, "a horse on a battery")
    assert rejected.value.reason == "breached"
    set_password(site, NEW_PASSWORD)


def test_old_password_is_good_however_old_it_is(site: Site) -> None:
    """ASVS 5.0 6.2.10. Nobody is asked to change it."""
    site.clock.tick(20 * 365 * 86400)

    assert site.logged_in("Ada").who() == "Ada"


class Peppered:
    """A hasher that mixes in a secret that is not in the table of accounts."""

    def __init__(self, behind: Argon2Hasher, pepper: bytes) -> None:
        self._behind = behind
        self._pepper = pepper

    def hash(self, password: str) -> str:
        return self._behind.hash(self._mixed(password))

    def verify(self, stored: str | None, password: str) -> Verified:
        return self._behind.verify(stored, self._mixed(password))

    def _mixed(self, password: str) -> str:
        return hmac.new(self._pepper, password.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def test_hasher_may_add_a_secret_of_its_own() -> None:
    """NIST SP 800-63B-4 §3.1.1.2: without it, the hashes of a stolen table cannot be tried."""
    site = Site(hasher=Peppered(CHEAP, b"a secret in another place"))
    user = site.auth.register(site.manager, "Ada", PASSWORD, login=False)

    assert is_right(site, PASSWORD)
    assert not CHEAP.verify(user.password_hash, PASSWORD)


# Guessing


def test_guesses_are_slowed_down(site: Site) -> None:
    """ASVS 5.0 6.3.1 and 2.4.1: what is too much is not looked at, for names that nobody has too."""
    for name in ("Ada", "Nobody"):
        browser = site.browser()
        site.hasher.calls.clear()
        tried = outcomes(20, lambda: browser.do(lambda environ: site.auth.login(environ, name, "wrong")))  # noqa: B023
        assert tried == ["LoginFailed"] * 5 + ["Throttled"] * 15
        assert site.hasher.calls == ["verify"] * 5
    site.clock.tick(30)
    assert site.logged_in("Ada").who() == "Ada"


def test_registrations_are_slowed_down(site: Site) -> None:
    """ASVS 5.0 2.4.1."""
    names = iter(f"user{number}" for number in range(20))

    tried = outcomes(
        20, lambda: site.browser().do(lambda environ: site.auth.register(environ, next(names), NEW_PASSWORD))
    )

    assert tried == ["done"] * 5 + ["Throttled"] * 15


def test_links_are_slowed_down(site: Site) -> None:
    """NIST SP 800-63B-4 §4.2."""
    tried = outcomes(20, lambda: site.browser().do(lambda environ: site.auth.request_reset(environ, "Ada")))

    assert tried == ["done"] * 5 + ["Throttled"] * 15


def test_known_browser_logs_in_while_strangers_guess(site: Site) -> None:
    """NIST SP 800-63B-4 §3.2.2. Nobody can shut out the owner of an account."""
    browser = site.logged_in("Ada")
    browser.do(site.auth.logout)
    stranger = site.browser()
    outcomes(60, lambda: stranger.do(lambda environ: site.auth.login(environ, "Ada", "wrong")))
    assert outcomes(1, lambda: stranger.do(lambda environ: site.auth.login(environ, "Ada", "wrong"))) == ["Throttled"]

    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert browser.who() == "Ada"


class Failures:
    """A table of failures in a row, as the page on throttling asks for one."""

    def __init__(self) -> None:
        self.counts: Counter[str | None] = Counter()

    def add(self, user_id: str | None) -> int:
        self.counts[user_id] += 1
        return self.counts[user_id]

    def clear(self, user_id: str | None) -> None:
        del self.counts[user_id]


def site_that_disables(**limits: Any) -> tuple[AuthSite, Failures]:
    """One with the lines of docs/throttling.md as its `on_event`."""
    here, failures = AuthSite(on_event=lambda event: names["on_event"](event)), Failures()
    here.auth = Auth(here.users, hasher=here.hasher, throttle=THROTTLE, **limits)
    page = (dev.ROOT / "docs" / "throttling.md").read_text(encoding="utf-8")
    (shown,) = [block.code for block in blocks(page) if "def on_event" in block.code]
    names: dict[str, Any] = {"failures": failures, "auth": here.auth, "manager": here.manager}
    exec(shown, names)
    here.register("Ada")
    return here, failures


def test_account_can_be_disabled_after_a_hundred_failures() -> None:
    """NIST SP 800-63B-4 §3.2.2, for those who have to: a few lines in `on_event`, which sees every failure."""
    here, _ = site_that_disables()
    for _ in range(99):
        here.clock.tick(60)
        assert not is_right(here, "not the password")
    user = here.users.find_by_key("ada")
    assert user.is_active

    assert not is_right(here, "not the password")

    assert not here.users.get(user.id).is_active
    assert not is_right(here, PASSWORD)


def test_every_wrong_password_counts_towards_a_hundred_and_nothing_else() -> None:
    """NIST SP 800-63B-4 §3.2.2: also one that is asked for once more, and none that was right."""
    here, failures = site_that_disables(session_limit=1, when_full="refuse")
    browser = here.logged_in("Ada")
    user = here.users.find_by_key("ada")
    for _ in range(3):
        here.clock.tick(60)
        with suppress(TooManySessions):
            here.logged_in("Ada")
    assert failures.counts[user.id] == 0

    with suppress(LoginFailed):
        browser.do(lambda environ: here.auth.confirm(environ, "not the password"))
    assert failures.counts[user.id] == 1

    browser.do(lambda environ: here.auth.confirm(environ, PASSWORD))
    assert failures.counts[user.id] == 0


def test_table_of_accounts_begins_empty(tmp_path: Path) -> None:
    """ASVS 5.0 6.3.2: no account is there by default."""
    names = ["admin", "administrator", "root", "guest", "test", "user"]
    for users in (MemoryUsers(), SQLiteUsers(tmp_path / "app.db")):
        assert [users.find_by_key(name) for name in names] == [None] * len(names)
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%password%'")]
        counts = {database.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in tables}
    assert counts == {(0,)}


# Links to set a password


def test_link_works_once(site: Site) -> None:
    """ASVS 5.0 6.5.1."""
    token = site.token()
    site.auth.reset_password(site.manager, token, NEW_PASSWORD)

    with pytest.raises(TokenInvalid):
        site.auth.reset_password(site.manager, token, PASSWORD + "!")
    assert is_right(site, NEW_PASSWORD)


def test_link_does_not_log_in(site: Site) -> None:
    """ASVS 5.0 6.3.6 and 6.4.3: what mail brings is no factor, and goes around none."""
    browser, token = site.browser(), site.token()

    browser.do(lambda environ: site.auth.reset_password(environ, token, NEW_PASSWORD))

    assert "sid" not in browser.cookies
    assert browser.who() is None
    assert site.told("login.succeeded", "session.login") == []


def test_link_is_random_and_nowhere_in_the_store(tmp_path: Path) -> None:
    """ASVS 5.0 6.5.2 to 6.5.4: whoever reads the table cannot set a password."""
    path = tmp_path / "app.db"
    store = SQLiteStore(path)
    site = Site(SQLiteUsers(path))
    site.manager = AuthSite(site.users.behind, store=store).manager
    site.auth.register(site.manager, "Ada", PASSWORD, login=False)

    tokens = [site.token() for _ in range(3)]

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert len(set(tokens)) == 3
    assert min(map(len, tokens)) >= 43  # 256 bits as base64
    assert [token for token in tokens if token.encode() in stored or token[:20].encode() in stored] == []


def test_link_lives_for_an_hour(site: Site) -> None:
    """ASVS 5.0 6.5.5; NIST SP 800-63B-4 §4.2 allows a day."""
    token = site.token()
    site.clock.tick(3601)
    with pytest.raises(TokenInvalid):
        site.auth.reset_password(site.manager, token, NEW_PASSWORD)

    token = site.token()
    site.clock.tick(3500)
    site.auth.reset_password(site.manager, token, NEW_PASSWORD)


def test_administrator_starts_a_reset_without_a_request(site: Site) -> None:
    """ASVS 5.0 6.4.6: the link is to be sent on, and the password is the person's own."""
    token = site.auth.reset_token(site.manager, "Ada")

    assert token is not None
    assert is_right(site, PASSWORD)
    assert site.auth.reset_token(site.manager, "Nobody") is None


def test_asking_for_a_link_tells_nothing(site: Site) -> None:
    """ASVS 5.0 6.3.8: in the request, no account is looked up and nothing is hashed, for whatever name."""
    site.gate.clear()  # whoever looks accounts up while this is shut is not the thread that sends
    site.browser().do(lambda environ: site.auth.request_reset(environ, "Ada"))
    assert site.is_sending.wait(10)
    site.users.taken()

    for name in ("Ada", "Nobody", "\u202e", "x" * 10_000):
        ask = partial(site.auth.request_reset, username=name)
        result, response = site.browser().visit(ask, method="POST")
        assert (result, response.status_code, response.headers.get("Set-Cookie")) == (None, 200, None)
    assert (site.users.calls, site.hasher.calls) == ([], [])
    site.gate.set()


def test_page_of_a_link_passes_it_on_to_nobody(site: Site) -> None:
    """ASVS 5.0 14.2.1: by no `Referer`, and to no address that the page names."""
    token = site.token()
    page = TestApp(site.wrapped(AuthPages(lambda environ, start_response: [], site.auth))).get(f"/reset?token={token}")

    assert page.headers["Referrer-Policy"] in ("no-referrer", "strict-origin", "origin")
    assert "no-store" in page.headers["Cache-Control"]
    assert re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
    assert [url for url in re.findall(r'(?:href|src|action)="([^"]*)"', page.text) if token in url] == []


# What people are told


def test_person_is_told_of_a_login_from_a_new_device(site: Site) -> None:
    """ASVS 5.0 6.3.5."""
    browser = site.logged_in("Ada")
    assert site.next_sent("new_device").user.username == "Ada"

    browser.do(site.auth.logout)
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))
    site.logged_in("Ada")

    assert site.next_sent("new_device").path is None
    assert len(site.told("login.new_device")) == 2


@pytest.mark.parametrize("way", ["changing", "setting anew"])
def test_person_is_told_of_a_new_password(site: Site, way: str) -> None:
    """ASVS 5.0 6.3.7, NIST SP 800-63B-4 §4.6: by whichever way it was set."""
    WAYS[way](site, NEW_PASSWORD)

    sent = site.next_sent("password_changed")

    assert (sent.user.username, sent.path) == ("Ada", None)
    with suppress(queue.Empty):
        assert site.outbox.get_nowait().purpose != "password_changed"
