"""Browsers that an account knows: strangers cannot keep its owner out of them (OWASP, device cookies)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sessionware import Cookie, MemoryStore, SessionManager, get_session
from sessionware._types import Environ
from sessionware.auth import Argon2Hasher, Auth, Rate, Throttle, User
from sessionware.errors import TooManySessions
from tests.support.attempts import FEW, WRONG, attempt, in_vain, opened, outcome, right, strangers
from tests.support.auth_kit import CHEAP, PASSWORD, AuthBrowser, AuthSite
from tests.support.fixed import SECRET

DAY = 24 * 3600
OTHER_SECRET = "another long secret for the time after the rotation"


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite(throttle=FEW)
    for name in ("Ada", "Eve"):
        site.register(name)
    return site


def known(browser: AuthBrowser) -> str | None:
    """The cookie by which accounts know it."""
    value: str | None = browser.client.cookies.get("sid_known")
    return value


def with_known(site: AuthSite, value: str) -> AuthBrowser:
    """A browser that has only this cookie."""
    browser = site.browser()
    browser.client.set_cookie("sid_known", value)
    browser.client.cookiejar.clear()
    browser.client.extra_environ["HTTP_COOKIE"] = f"sid_known={value}"
    return browser


def knows(site: AuthSite, browser: AuthBrowser, name: str = "Ada") -> bool:
    """Whether this account would give the browser a lane of its own."""
    site.events.clear()
    strangers(site, 6, name)
    return right(browser, name) == "in"


# What it is for -------------------------------------------------------------------------------------------------------


def test_strangers_cannot_keep_the_owner_out() -> None:
    """While ten thousand of them try her password, Ada logs in at once from the browser that she always uses."""
    site = AuthSite(throttle=Throttle())
    site.register("Ada")
    browser, new = site.logged_in("Ada"), site.browser("203.0.113.1")
    browser.do(site.auth.logout)

    came_of = strangers(site, 10_000)
    assert came_of.count("wrong") == 30
    assert right(browser) == "in"
    assert right(new) == 10


def test_a_known_browser_has_a_lane_of_its_own(site: AuthSite) -> None:
    """With so many attempts, whatever strangers do, and no more."""
    browser = site.logged_in("Ada")
    strangers(site, 6)

    assert in_vain(browser, 4) == ["wrong"] * 3 + [10]
    site.clock.tick(30)
    strangers(site, 3)
    assert in_vain(browser, 2) == ["wrong", 10]


def test_each_known_browser_has_its_own_lane(site: AuthSite) -> None:
    """A thief of one does not keep the owner out of another."""
    stolen, other = site.logged_in("Ada"), site.logged_in("Ada")
    strangers(site, 6)

    assert in_vain(stolen, 4) == ["wrong"] * 3 + [10]
    assert right(other) == "in"


def test_a_copy_of_the_cookie_keeps_nobody_out(site: AuthSite) -> None:
    """A thief may use up the browser's own lane. Its owner then has the lanes that everybody has."""
    browser = site.logged_in("Ada")
    thief = with_known(site, str(known(browser)))
    in_vain(thief, 3)

    assert right(browser) == "in"


def test_beyond_its_own_lane_a_known_browser_is_like_any_other(site: AuthSite) -> None:
    """Its attempts are those of a pair, then."""
    browser = site.logged_in("Ada")

    assert in_vain(browser, 7) == ["wrong"] * 6 + [30]
    assert in_vain(site.browser(), 1) == [30]


def test_the_shortest_wait_is_told(site: AuthSite) -> None:
    """Whichever lane has a token first lets the browser through."""
    browser = site.logged_in("Ada")
    in_vain(browser, 3)
    site.clock.tick(29)
    in_vain(browser, 3)

    assert attempt(browser) == 1


def test_a_login_does_not_refill_the_lane() -> None:
    """Else a cookie of one's own would lift the client's lane: passwords hashed for one address without any limit."""
    site = AuthSite(throttle=replace(FEW, account=None, pair=None))
    site.register("Eve")
    browser = site.logged_in("Eve")  # one of the client's ten

    assert [right(browser, "Eve") for _ in range(13)] == ["in"] * 12 + [2]


def test_what_strangers_have_tried_is_not_forgotten_by_a_login_from_a_known_browser(site: AuthSite) -> None:
    """It has taken nothing from their lanes, so it says nothing about them."""
    browser = site.logged_in("Ada")
    strangers(site, 6)

    assert right(browser) == "in"
    assert strangers(site, 1) == [10]


def test_a_known_browser_is_known_to_that_account_only(site: AuthSite) -> None:
    """Elsewhere it is anybody's."""
    browser = site.logged_in("Ada")
    strangers(site, 6, "Eve")

    assert right(browser, "Eve") == 10


def test_it_lets_nobody_in(site: AuthSite) -> None:
    """It is no session, and takes the place of no password."""
    browser = with_known(site, str(known(site.logged_in("Ada"))))

    assert browser.who() is None
    assert attempt(browser) == "wrong"
    assert browser.who() is None


def test_each_login_leaves_the_lane_as_it_was(site: AuthSite) -> None:
    """A copy of the cookie from before has the same bucket, so nobody collects buckets by logging in again."""
    browser = site.logged_in("Ada")
    copies = [browser.copied()]
    for _ in range(3):
        site.clock.tick(DAY)
        assert right(browser) == "in"
        copies.append(browser.copied())
    site.clock.tick(DAY)
    strangers(site, 6)

    outcomes = [attempt(copy) for copy in copies]
    assert outcomes == ["wrong"] * 3 + [10]


# When it is set -------------------------------------------------------------------------------------------------------


def test_it_is_set_by_a_login_with_a_password_and_by_a_registration(site: AuthSite) -> None:
    """By one that fails, by a logout, or without a password, it is not."""
    visitor = site.browser()
    assert attempt(visitor) == "wrong"
    assert known(visitor) is None
    visitor.do(lambda environ: site.auth.login_user(environ, site.users.find_by_key("ada")))
    assert known(visitor) is None
    visitor.do(lambda environ: site.auth.login_user(environ, site.users.find_by_key("ada"), methods=("saml",)))
    assert known(visitor) is None
    visitor.do(lambda environ: site.auth.register(environ, "Bob", PASSWORD, login=False))
    assert known(visitor) is None
    visitor.do(lambda environ: site.auth.register(environ, "Zoe", PASSWORD))
    assert knows(site, visitor, "Zoe")
    assert knows(site, site.logged_in("Ada"))


def test_it_survives_the_logout(site: AuthSite) -> None:
    """Whoever was logged out, by himself or by others, is who needs it."""
    browser = site.logged_in("Ada")
    browser.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert knows(site, browser)


def test_its_attributes_are_the_session_cookies() -> None:
    """But that it stays for 180 days."""
    site = AuthSite(cookie=Cookie(name="staff", path="/a", samesite="Strict"))
    site.register("Ada")
    _, response = site.browser().visit(lambda environ: right_in(site, environ), method="POST")
    lines = response.headers.getall("Set-Cookie")
    (line,) = (line for line in lines if line.startswith("staff_known="))

    assert line.partition("; ")[2] == f"Path=/a; HttpOnly; SameSite=Strict; Max-Age={180 * DAY}"
    assert len(line.partition(";")[0]) < 400


def right_in(site: AuthSite, environ: dict[str, Any]) -> object:
    return site.auth.login(environ, "Ada", PASSWORD)


def refused(site: AuthSite, environ: dict[str, Any], error: type[Exception]) -> None:
    """The same, in an application that answers for the error itself."""
    with pytest.raises(error):
        right_in(site, environ)


def test_over_https_it_has_the_prefix(site: AuthSite) -> None:
    """And only with the prefix is it read there."""
    browser = site.browser()
    _, response = browser.visit(
        lambda environ: right_in(site, environ), method="POST", headers={"X-Forwarded-Proto": "https"}
    )

    assert any(line.startswith("__Host-sid_known=") for line in response.headers.getall("Set-Cookie"))


def test_it_is_forgotten_after_half_a_year(site: AuthSite) -> None:
    """Without a login, whatever the browser still sends."""
    value = str(known(site.logged_in("Ada")))
    site.clock.tick(179 * DAY)
    assert knows(site, with_known(site, value))
    site.clock.tick(DAY)
    assert not knows(site, with_known(site, value))


def test_a_browser_is_known_to_the_last_four_accounts(site: AuthSite) -> None:
    """As many as share a computer at home. The cookie does not grow beyond."""
    names = ["Ada", "Eve", "Bob", "Zoe", "Kim"]
    for name in names[2:]:
        site.register(name)
    browser = site.browser()
    sizes = [len(str(known(browser))) for name in names if right(browser, name) == "in"]

    assert max(sizes) <= 300
    assert [knows(site, browser.copied(), name) for name in names[1:]] == [True] * 4
    assert not knows(site, browser, "Ada")


def test_without_them_there_is_no_cookie(caplog: pytest.LogCaptureFixture) -> None:
    """None is set, none is read, and no browser is new."""
    site = AuthSite(throttle=FEW)
    site.register("Ada")
    value = str(known(site.logged_in("Ada")))
    off = AuthSite(throttle=FEW, known_devices=False, users=site.users, store=site.store)

    browser = with_known(off, value)
    assert known(off.logged_in("Ada")) is None
    assert not knows(off, browser)
    assert off.told("login.new_device") == []


def test_a_login_of_which_only_the_cookie_is_known_goes_without(site: AuthSite) -> None:
    """An adapter that has no environ cannot send another cookie, so no browser counts as new there."""
    session = site.manager.open(cookie=None).session

    site.auth.login({"REQUEST_METHOD": "POST", "sessionware.session": session}, "Ada", PASSWORD)
    assert session.username == "Ada"
    assert site.told("login.new_device") == []


def test_a_login_is_not_lost_with_it(site: AuthSite) -> None:
    """A response with status 500 may carry it: the password was right, and that is all that it says."""
    browser = site.browser()
    browser.visit(lambda environ: right_in(site, environ), method="POST", status="500 Oops")

    assert browser.who() is None
    assert knows(site, browser)


# Whose it is ----------------------------------------------------------------------------------------------------------


def test_it_does_not_go_over_to_another_account_of_the_name(site: AuthSite) -> None:
    """Else somebody could collect lanes for a name, give it up, and wait for its next owner."""
    browser = site.logged_in("Ada")
    site.users.delete(site.users.find_by_key("ada").id)
    site.register("Ada")

    assert not knows(site, browser)
    site.clock.tick(600)
    assert right(browser) == "in"
    assert len(site.told("login.new_device")) == 1


OTHER_PASSWORD = "paper kite over the harbour"


def reset(site: AuthSite, name: str = "Ada") -> None:
    token = site.auth.reset_token(site.manager, name)
    site.auth.reset_password(site.manager, str(token), OTHER_PASSWORD)


def test_another_password_makes_all_browsers_strangers(site: AuthSite) -> None:
    """Whoever once knew the password may have collected any number of them."""
    browsers = [site.logged_in("Ada") for _ in range(3)]
    reset(site)
    strangers(site, 6)

    assert [attempt(browser) for browser in browsers] == [10] * 3


def test_guesses_of_a_browser_that_is_a_stranger_by_now_are_a_strangers(site: AuthSite) -> None:
    """They are counted by the lanes of client, pair and account before anything is hashed."""
    browser = site.logged_in("Ada")
    reset(site)
    site.hasher.calls.clear()

    assert in_vain(browser, 5) == ["wrong"] * 3 + [30] * 2
    assert site.hasher.calls == ["verify"] * 3
    assert in_vain(site.browser(), 1) == [30]


def test_a_browser_that_is_a_stranger_by_now_is_told_as_a_new_one(site: AuthSite) -> None:
    """It may be the thief's, because of whom the password is another one. Its owner's login makes it known again."""
    browser = site.logged_in("Ada")
    reset(site)
    site.events.clear()

    assert [attempt(browser, "Ada", OTHER_PASSWORD) for _ in range(2)] == ["in"] * 2
    assert len(site.told("login.new_device")) == 1


def test_the_browser_in_which_the_password_is_changed_stays_known(site: AuthSite) -> None:
    """And no other. It is not told as a new one."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    browser.do(lambda environ: site.auth.change_password(environ, PASSWORD, OTHER_PASSWORD))
    site.events.clear()
    strangers(site, 6)

    assert [attempt(each, "Ada", OTHER_PASSWORD) for each in (browser, other)] == ["in", 10]
    assert site.told("login.new_device") == []


def test_changing_the_password_gives_the_browser_no_other_lane(site: AuthSite) -> None:
    """Else whoever has an account could have any number of passwords hashed."""
    browser = site.logged_in("Ada")

    def change(environ: dict[str, Any]) -> None:
        site.auth.change_password(environ, PASSWORD, OTHER_PASSWORD)
        site.auth.change_password(environ, OTHER_PASSWORD, PASSWORD)

    browser.do(change)
    strangers(site, 6)
    assert in_vain(browser, 2) == ["wrong", 10]


def test_another_hash_of_the_same_password_leaves_this_browser_known(site: AuthSite) -> None:
    """The costs of hashing were raised. Others become strangers, once: nobody can tell why the hash is another."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    site.hasher.behind = Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1)
    site.events.clear()

    assert right(browser) == right(browser) == "in"
    assert len(site.told("account.rehashed")) == 1
    assert site.told("login.new_device") == []
    assert right(other) == "in"
    assert len(site.told("login.new_device")) == 1


def test_a_password_can_be_checked_when_it_is_too_late_for_a_cookie(site: AuthSite) -> None:
    """With a hash that is made anew. The browser is new once more, and the answer is right."""
    browser = site.logged_in("Ada")
    site.hasher.behind = Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1)

    def late(environ: dict[str, Any], start_response: Any) -> Any:
        get_session(environ).get("n")
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"x"
        yield site.auth.authenticate(environ, "Ada", PASSWORD).username.encode()

    browser.client.app = site.wrapped(late)
    assert browser.client.post("/").body == b"xAda"


def test_it_follows_its_owner_to_another_name(site: AuthSite) -> None:
    """Where the owner's own session asked for it."""
    browser = site.logged_in("Ada")
    user_id = site.users.find_by_key("ada").id
    browser.do(lambda environ: site.auth.rename(environ, user_id, "Lovelace"))

    assert knows(site, browser, "Lovelace")


def test_it_stays_with_an_account_that_was_renamed(site: AuthSite) -> None:
    """After one login by the new name, which is not told as a new browser's."""
    browser = site.logged_in("Ada")
    site.users.rename(site.users.find_by_key("ada").id, "lovelace", "Lovelace")
    site.events.clear()

    assert right(browser, "Lovelace") == "in"
    assert site.told("login.new_device") == []
    assert knows(site, browser, "Lovelace")


def test_a_name_that_does_not_exist_any_more_gives_no_lane(site: AuthSite) -> None:
    """The attempt is counted like a stranger's."""
    browser = site.logged_in("Ada")
    site.users.delete(site.users.find_by_key("ada").id)
    strangers(site, 6)

    assert attempt(browser) == 10


# What comes in --------------------------------------------------------------------------------------------------------


DAMAGED = ["", "x", "no base64!", "A" * 300, "=" * 8, "\u00e9", '"quoted"']


@pytest.mark.parametrize("value", DAMAGED)
def test_what_does_not_open_is_ignored(site: AuthSite, value: str) -> None:
    """As if there was none. The next login sets a good one."""
    browser = site.browser()
    browser.client.extra_environ["HTTP_COOKIE"] = f"sid_known={value}"

    assert attempt(browser) == "wrong"
    browser.visit(lambda environ: right_in(site, environ), method="POST")
    assert known(browser) is not None


def test_a_cookie_that_was_changed_is_ignored(site: AuthSite) -> None:
    """Any byte of it."""
    value = str(known(site.logged_in("Ada")))
    changed = [value[:at] + ("B" if value[at] == "A" else "A") + value[at + 1 :] for at in range(0, len(value) - 1, 5)]
    strangers(site, 6)

    assert {attempt(with_known(site, each)) for each in changed} == {10}


def test_of_several_cookies_all_are_read(site: AuthSite) -> None:
    """A browser may have them for several paths."""
    values = [str(known(site.logged_in(name))) for name in ("Ada", "Eve")]
    browser = site.browser()
    browser.client.extra_environ["HTTP_COOKIE"] = "; ".join(f"sid_known={value}" for value in ["junk", *values])

    assert knows(site, browser, "Ada")
    assert knows(site, browser, "Eve")


def test_a_new_secret_forgets_no_browser(site: AuthSite) -> None:
    """While the old one is kept, and from the next login on without it."""
    browser = site.logged_in("Ada")
    for secrets in ([OTHER_SECRET, SECRET], OTHER_SECRET):
        site.manager = SessionManager(secrets, site.store, clock=site.clock, on_event=site.events.append)
        moved = AuthBrowser(site, browser.client.cookiejar)
        moved.client.app = site.wrapped(site_app)
        assert knows(site, moved)
        browser = moved


def site_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    visit = environ["test.visit"]
    visit["result"] = visit["act"](environ)
    start_response(visit["status"], [("Content-Type", "text/plain")])
    return [b"done"]


def test_another_sites_cookie_is_ignored(site: AuthSite) -> None:
    """It is sealed under the site's own secret."""
    other = AuthSite(throttle=FEW, secret=OTHER_SECRET)
    other.register("Ada")

    assert not knows(site, with_known(site, str(known(other.logged_in("Ada")))))


def test_another_tenants_cookie_is_ignored() -> None:
    """One secret and one cookie's name, but other accounts, which may have the same names and ids."""
    store = MemoryStore()
    one = AuthSite(throttle=FEW, store=store.namespace("one"))
    other = AuthSite(throttle=FEW, store=store.namespace("other"), users=one.users)
    one.register("Ada")

    assert knows(one, with_known(one, str(known(one.logged_in("Ada")))))
    assert not knows(one, with_known(one, str(known(other.logged_in("Ada")))))


def test_the_cookie_says_nothing(site: AuthSite) -> None:
    """Two browsers' cookies have nothing in common, and none has the name in it."""
    one, other = (str(known(site.logged_in("Ada"))) for _ in range(2))

    assert one != other
    assert "ada" not in one.lower() or "ada" not in other.lower()


# What is told ---------------------------------------------------------------------------------------------------------


def test_a_login_from_a_new_browser_is_told(site: AuthSite) -> None:
    """With the account and the address. One from a browser that is known is not."""
    browser = site.logged_in("Ada")
    (event,) = site.told("login.new_device")
    assert (event.account, event.user_id, event.client_address) == (
        "ada",
        site.users.find_by_key("ada").id,
        browser.address,
    )

    assert right(browser) == "in"
    site.browser().do(lambda environ: site.auth.register(environ, "Bob", PASSWORD))
    assert len(site.told("login.new_device")) == 1


def test_a_new_browser_is_told_even_if_its_login_is_refused() -> None:
    """The password was right, and the browser is known from now on: this is the only time that it is new."""
    site = AuthSite(throttle=FEW)
    messages: list[str] = []
    site.auth = Auth(
        site.users,
        hasher=CHEAP,
        session_limit=1,
        when_full="refuse",
        send=lambda purpose, user, path: messages.append(purpose),
    )
    site.register("Ada")
    site.logged_in("Ada")
    site.clock.tick(60)
    thief = site.browser("198.51.100.9")
    site.events.clear()

    thief.do(lambda environ: refused(site, environ, TooManySessions))
    assert known(thief) is not None
    assert [event.client_address for event in site.told("login.new_device")] == [thief.address]
    assert site.auth._outbox.join(10)
    assert messages == ["new_device"] * 2  # Ada's own first login, and this one


def test_a_new_browser_is_told_even_if_the_login_fails_later() -> None:
    """Whatever the application's own functions raise."""

    def no_idea(user: User, environ: Environ) -> None:
        raise RuntimeError("no idea")

    site = AuthSite(throttle=FEW)
    site.auth = Auth(site.users, hasher=CHEAP, timeouts=no_idea)
    site.register("Ada")
    browser = site.browser()

    browser.do(lambda environ: refused(site, environ, RuntimeError))
    assert known(browser) is not None
    assert len(site.told("login.new_device")) == 1


def test_the_device_lane_is_told_with_what_the_browser_is_known_by(site: AuthSite) -> None:
    """The beginning of it: enough to tell browsers apart. The lane that refused after it comes first."""
    in_vain(site.logged_in("Ada"), 7)
    (event,) = site.told("login.throttled")
    refused, _, own = event.detail.partition(", after ")

    assert refused == "lane of this account and 192.0.2.7: 3 at once, then one every 30 s"
    assert own.startswith("device lane of browser ")
    assert own.endswith(": 3 at once, then one every 30 s; wait 30 s")
    assert len(own.partition(":")[0].split()[-1]) == 8


def test_without_a_lane_for_devices_they_are_like_others() -> None:
    """The other lanes hold for them, too."""
    site = AuthSite(throttle=replace(FEW, device=None, account=Rate(6, 10)))
    site.register("Ada")
    browser = site.logged_in("Ada")
    strangers(site, 6)

    assert right(browser) == 10
    assert outcome(site, opened(site), "Ada", WRONG) == 10
