"""What failed half-way: every call to the store and the accounts may fail, and a second try finishes the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sessionware import LoginFailed, MemoryStore, NotLoggedIn, Session, Store, StoreUnavailable, get_session
from sessionware._types import Environ
from sessionware.auth import MemoryUsers, Users
from sessionware.stores.base import Record
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite

Act = Callable[[Environ], object]


class Fault:
    """Fails the call of this number, before or after its work. Calls are counted over the store and the accounts."""

    def __init__(self) -> None:
        self.countdown: int | None = None
        self.is_deaf = False
        self.has_failed = False

    def arm(self, number: int, *, is_deaf: bool) -> None:
        self.countdown, self.is_deaf, self.has_failed = number, is_deaf, False

    def around(self, call: Callable[[], Any]) -> Any:
        is_due = self.countdown == 0
        if self.countdown is not None:
            self.countdown -= 1
        if not is_due:
            return call()
        self.has_failed = True
        if self.is_deaf:
            call()
        raise StoreUnavailable("this call was told to fail")


class Faulty:
    """A store or a table of accounts with that fault."""

    def __init__(self, behind: Any, fault: Fault) -> None:
        self._behind, self._fault = behind, fault

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._behind, name)
        return lambda *args, **how: self._fault.around(lambda: method(*args, **how))


class FaultyStoreOfAll(Faulty, Store):
    """A `Store` in name, so that each of its methods is counted too."""

    @property
    def path(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self._behind.path
        return names

    def create(self, record: Record) -> bool:
        return bool(self.__getattr__("create")(record))

    def load(self, id: bytes, now: int) -> Record | None:
        found: Record | None = self.__getattr__("load")(id, now)
        return found

    def replace(self, record: Record) -> bool:
        return bool(self.__getattr__("replace")(record))

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        self.__getattr__("touch")(id, version, expires_at)

    def delete(self, id: bytes) -> bool:
        return bool(self.__getattr__("delete")(id))

    def prune(self, now: int, limit: int = 1000) -> int:
        return int(self.__getattr__("prune")(now, limit))

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return list(self.__getattr__("owned_by")(owner, now))

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return list(self.__getattr__("scan")(after, limit))

    def namespace(self, name: str) -> Store:
        return FaultyStoreOfAll(self._behind.namespace(name), self._fault)


class FaultySite(AuthSite):
    """Ada is logged in in four browsers, and Eve in one."""

    def __init__(self) -> None:
        self.fault = Fault()
        users: Users = MemoryUsers()
        super().__init__(store=FaultyStoreOfAll(MemoryStore(), self.fault), users=Faulty(users, self.fault))
        self.ada = self.register("Ada")
        self.register("Eve")
        self.mine = self.logged_in("Ada")
        self.others = [self.logged_in("Ada") for _ in range(3)]
        self.eve = self.logged_in("Eve")

    def still_in(self, *browsers: AuthBrowser) -> list[str | None]:
        """Whose name the sessions themselves have, without a look at the account."""
        names = [browser.do(lambda environ: get_session(environ).username, method="GET") for browser in browsers]
        return [name for name in names if name is not None]


def tries(act: Act, site: FaultySite) -> Iterator[str]:
    """What two tries of one browser come to, the first of which fails."""
    for _ in range(2):
        yield outcome(act, site.mine)
        site.fault.countdown = None


def outcome(act: Act, browser: AuthBrowser) -> str:
    def view(environ: Environ) -> str:
        try:
            act(environ)
        except Exception as error:
            return type(error).__name__
        return "done"

    result, response = browser.visit(view, method="POST")
    return str(result) if response.status_code == 200 else str(response.status_code)


ACTS: dict[str, Callable[[FaultySite], Act]] = {
    "logout": lambda site: lambda environ: site.auth.logout(environ, everywhere=True),
    "end others": lambda site: lambda environ: site.auth.end_other_sessions(environ),
    "delete": lambda site: lambda environ: site.auth.delete_account(environ, PASSWORD),
}

NEW = "wrong mule charger paperclip"

#: What is done to an account, and what it is called by. A second try is the same call, but for a reset's new token.
CHANGES: dict[str, Callable[[FaultySite], Act]] = {
    "change_password": lambda site: lambda environ: site.auth.change_password(environ, PASSWORD, NEW),
    "reset_password": lambda site: lambda environ: site.auth.reset_password(environ, new_token(site), NEW),
    "own name": lambda site: lambda environ: site.auth.rename(environ, site.ada.id, "Lovelace"),
    "rename": lambda site: lambda environ: site.auth.rename(site.manager, site.ada.id, "Lovelace"),
    "disable": lambda site: lambda environ: site.auth.set_active(site.manager, site.ada.id, False),
    "end_all": lambda site: lambda environ: site.auth.end_all(site.manager, site.ada.id),
    "erase": lambda site: lambda environ: site.auth.erase(site.manager, site.ada.id),
}

#: Those after which the session that asked for it goes on.
GOES_ON = {"change_password", "own name"}


#: What the second call says of some if the first one has done its work but for the end of the sessions.
REFUSED_AGAIN = {"change_password": ("LoginFailed",)}


def new_token(site: FaultySite) -> str:
    token = site.auth.reset_token(site.manager, "Ada")
    assert token is not None
    return token


def calls_of(name: str) -> int:
    """How many calls to the store and the accounts it takes."""
    site = FaultySite()
    site.fault.countdown = 10_000
    assert outcome({**ACTS, **CHANGES}[name](site), site.mine) == "done"
    assert site.fault.countdown is not None
    return 10_000 - site.fault.countdown


@pytest.mark.parametrize("is_deaf", [False, True], ids=["nothing done", "done, but not told"])
@pytest.mark.parametrize("name", ACTS)
def test_second_try_finishes_what_a_first_one_began(name: str, is_deaf: bool) -> None:
    """Wherever the first one failed, nobody who should be logged out is logged in after the second."""
    count = calls_of(name)
    assert count > 8
    for number in range(count):
        site = FaultySite()
        site.fault.arm(number, is_deaf=is_deaf)
        first, second = tries(ACTS[name](site), site)

        assert site.fault.has_failed, number
        assert first in ("StoreUnavailable", "503"), (number, first)
        assert second in ("done", "NotLoggedIn"), (number, second)
        assert site.still_in(*site.others) == [], (number, second)
        assert site.still_in(site.mine) == (["Ada"] if name == "end others" else []), (number, second)
        assert site.still_in(site.eve) == ["Eve"], number
        assert (site.users.find_by_key("ada") is None) == (name == "delete"), number


@pytest.mark.parametrize("is_deaf", [False, True], ids=["nothing done", "done, but not told"])
@pytest.mark.parametrize("name", CHANGES)
def test_outage_in_the_midst_of_a_change_leaves_no_way_in(name: str, is_deaf: bool) -> None:
    """Wherever it fails: either nothing has changed, or nobody is let in who should not be. A second call finishes."""
    for number in range(calls_of(name)):
        site = FaultySite()
        act = CHANGES[name](site)
        site.fault.arm(number, is_deaf=is_deaf)
        first = outcome(act, site.mine)
        site.fault.countdown = None
        has_changed = site.users.behind._behind.get(site.ada.id) != site.ada
        let_in = [browser for browser in (site.mine, *site.others) if browser.copied().who() is not None]

        assert site.fault.has_failed, number
        assert first in ("StoreUnavailable", "503", "done"), (number, first)  # "done": pruning failed, and no more
        if has_changed:
            assert set(let_in) <= ({site.mine} if name in GOES_ON else set()), (number, first)
            assert lets_in(site, "Ada", PASSWORD) == (name == "end_all"), (number, first)
        assert outcome(act, site.mine) in ("done", "NotLoggedIn", *REFUSED_AGAIN.get(name, ())), number
        assert site.still_in(*site.others) == [], (number, first)
        assert site.still_in(site.eve) == ["Eve"], number


def lets_in(site: FaultySite, name: str, password: str) -> bool:
    try:
        site.auth.authenticate(site.manager, name, password)
    except LoginFailed:
        return False
    return True


def test_second_try_ends_no_later_login() -> None:
    """It ends what the first one left over, itself, and nobody who has logged in since; and it says so."""
    site = FaultySite()
    site.fault.arm(calls_of("logout") - 8, is_deaf=False)
    act = ACTS["logout"](site)
    assert outcome(act, site.mine) == "StoreUnavailable"
    site.fault.countdown = None
    later = site.logged_in("Ada")

    assert outcome(act, site.mine) == "NotLoggedIn"
    assert site.still_in(site.mine, *site.others) == []
    assert later.who() == "Ada"


def test_session_that_was_thrown_out_throws_nobody_out() -> None:
    """A thief's, from before the password was changed, does not end the session of whoever changed it."""
    site = FaultySite()
    user = site.users.find_by_key("ada")
    site.users.set_password(user.id, user.password_hash, expect=user.password_hash, ends_sessions=True)
    owner = site.logged_in("Ada")

    assert outcome(ACTS["logout"](site), site.mine) == "NotLoggedIn"
    assert (owner.who(), site.still_in(site.mine)) == ("Ada", [])


@pytest.mark.parametrize("change", ["disable", "delete", "new password", "rename"])
@pytest.mark.parametrize("moment", ["load", "replace"])
def test_session_that_is_somebody_elses_by_now_is_left_alone(change: str, moment: str) -> None:
    """Bob logs in in Ada's browser at the moment when her account is found to refuse its session."""
    site = FaultySite()
    site.register("Bob")
    user = site.users.find_by_key("ada")
    browser = site.mine
    tab = browser.copied()
    changes: dict[str, Callable[[], object]] = {
        "disable": lambda: site.users.set_active(user.id, False),
        "delete": lambda: site.users.delete(user.id),
        "rename": lambda: site.users.rename(user.id, "lovelace", "Lovelace"),
        "new password": lambda: site.users.set_password(user.id, "x", expect=user.password_hash, ends_sessions=True),
    }
    changes[change]()
    call, store = getattr(site.store, moment), site.store

    def meanwhile(*arguments: Any) -> Any:
        setattr(store, moment, call)
        tab.do(lambda environ: site.auth.login(environ, "Bob", PASSWORD))
        return call(*arguments)

    def view(environ: Environ) -> object:
        session: Session = get_session(environ)
        assert session.username == "Ada"
        setattr(store, moment, meanwhile)
        return site.auth.user(environ), session.username

    assert browser.do(view) == (None, None)
    assert tab.who() == "Bob"


def test_reason_is_shown_to_the_browser_that_finds_out() -> None:
    """In the same request, and in the next ones."""
    site = FaultySite()
    site.users.set_active(site.users.find_by_key("ada").id, False)

    def view(environ: Environ) -> object:
        with pytest.raises(NotLoggedIn):
            site.auth.require_user(environ)
        return get_session(environ).ended_because

    assert site.mine.do(view) == "disabled"
    site.clock.tick(3600)
    assert site.mine.do(lambda environ: get_session(environ).ended_because) == "disabled"
