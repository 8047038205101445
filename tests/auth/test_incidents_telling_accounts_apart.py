"""Incidents in which a stranger could tell which accounts exist: by the time of an answer, or by what it says.

Time is not measured here, but what causes it: the work that argon2 is made to do. `benchmarks/refusals.py` measures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from argon2.low_level import Type
from webtest import TestApp, TestResponse

from sessionware import LoginFailed, MemoryStore
from sessionware.auth import Argon2Hasher, AuthPages, User
from sessionware.testing import FaultyStore
from tests.support.auth_kit import PASSWORD, AuthSite
from tests.support.computations import Computations

BEFORE = Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1)
BCRYPT = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"


class Typed(NamedTuple):
    """What somebody types into the login form."""

    username: str
    password: str = "not the password"


WRONG_PASSWORD = Typed("Ada")

#: Everything else that is refused.
OTHERS = {
    "unknown": Typed("Nobody"),
    "unknown, with somebody's password": Typed("Nobody", PASSWORD),
    "disabled": Typed("Disabled"),
    "disabled, with the right password": Typed("Disabled", PASSWORD),
    "without a password": Typed("Passwordless", PASSWORD),
    "unusable password": Typed("Unusable", PASSWORD),
    "hash that was cut off": Typed("Cut", PASSWORD),
    "hash of another library": Typed("Bcrypt", PASSWORD),
    "older costs": Typed("Older"),
    "too long": Typed("Ada", "x" * 1025),
    "too long, unknown": Typed("Nobody", "x" * 1025),
    "NUL": Typed("Ada", f"{PASSWORD}\0"),
    "NUL, unknown": Typed("Nobody", f"{PASSWORD}\0"),
    "half a character": Typed("Ada", "\ud800"),
    "half a character, unknown": Typed("Nobody", "\ud800"),
    "empty": Typed("Ada", ""),
    "empty, unknown": Typed("Nobody", ""),
    "impossible name": Typed("no\u202ebody", PASSWORD),
    "huge name": Typed("a" * 5000, PASSWORD),
}


@pytest.fixture
def computations(monkeypatch: pytest.MonkeyPatch) -> Computations:
    return Computations(monkeypatch)


@pytest.fixture
def site() -> AuthSite:
    """Accounts of every kind. The hasher is new, because one that has seen refusals corrects by how long they took."""
    return with_accounts(AuthSite(hasher=Argon2Hasher(time_cost=2, memory_cost=64, parallelism=1)))


def with_accounts(site: AuthSite) -> AuthSite:
    stored = site.register("Ada").password_hash
    assert stored is not None
    site.users.set_active(site.register("Disabled").id, False)
    hashes = {
        "Passwordless": None,
        "Unusable": "!",
        "Cut": stored[:-20],
        "Bcrypt": BCRYPT,
        "Older": BEFORE.hash(PASSWORD),
    }
    for username, other in hashes.items():
        site.users.add(username.lower(), username, other, {})
    return site


def refused_by_login(site: AuthSite, typed: Typed) -> None:
    site.browser().do(lambda environ: site.auth.login(environ, *typed))


def refused_by_authenticate(site: AuthSite, typed: Typed) -> None:
    site.browser().do(lambda environ: site.auth.authenticate(environ, *typed))


def refused_without_a_request(site: AuthSite, typed: Typed) -> None:
    site.auth.authenticate(site.manager, *typed)


#: Every way by which somebody who is not logged in has a password checked.
WAYS: list[Callable[[AuthSite, Typed], None]] = [
    refused_by_login,
    refused_by_authenticate,
    refused_without_a_request,
]

by_every_way = pytest.mark.parametrize("refused", WAYS, ids=lambda way: way.__name__)
whatever_is_wrong = pytest.mark.parametrize("typed", OTHERS.values(), ids=OTHERS)


def work_of(site: AuthSite, computations: Computations, typed: Typed, refused: Any = refused_by_login) -> int:
    """The work of one refusal."""
    computations.clear()
    with pytest.raises(LoginFailed):
        refused(site, typed)
    return computations.work


# By the time of the answer


@pytest.mark.parametrize("username", ["Unusable", "Passwordless"])
def test_cve_2024_39329_unusable_password_costs_the_same(
    site: AuthSite, computations: Computations, username: str
) -> None:
    """Django answered faster for users whose password is unusable, as that of users who come by another service."""
    assert work_of(site, computations, Typed(username)) == work_of(site, computations, WRONG_PASSWORD) > 0


def test_cve_2016_2513_raised_costs_do_not_tell_who_has_not_come_since(
    site: AuthSite, computations: Computations
) -> None:
    """In Django, whoever had not logged in since the costs were raised was refused sooner than unknown names."""
    assert work_of(site, computations, Typed("Older")) == work_of(site, computations, Typed("Nobody"))


@by_every_way
def test_cve_2025_13473_every_way_to_check_a_password_costs_the_same(
    site: AuthSite, computations: Computations, refused: Any
) -> None:
    """Django's second way, for Apache's mod_wsgi, forgot what the first one did for unknown names."""
    unknown = work_of(site, computations, Typed("Nobody"), refused)

    assert unknown == work_of(site, computations, WRONG_PASSWORD, refused) > 0


@by_every_way
@whatever_is_wrong
def test_cve_2021_29621_cve_2022_21659_cve_2025_24023_every_refusal_costs_the_same(
    site: AuthSite, computations: Computations, typed: Typed, refused: Any
) -> None:
    """Flask-AppBuilder mended this three times. So it is counted here, for everything that can be wrong."""
    assert work_of(site, computations, typed, refused) == work_of(site, computations, WRONG_PASSWORD, refused)


@pytest.mark.parametrize("length", [1, 25_000])
def test_cve_2016_6210_unknown_name_is_checked_by_the_same_algorithm(
    site: AuthSite, computations: Computations, length: int
) -> None:
    """OpenSSH checked unknown names by Blowfish and real ones by SHA, which a long password made plain."""
    work_of(site, computations, Typed("Ada", "x" * length))
    known = computations.taken()
    work_of(site, computations, Typed("Nobody", "x" * length))

    assert [each[:3] for each in computations] == [each[:3] for each in known] == [(Type.ID, 64, 2)]


def test_cve_2025_22234_password_that_is_too_long_costs_the_same_for_unknown_names(
    site: AuthSite, computations: Computations
) -> None:
    """Spring refused it by an exception for real accounts only, after it had begun to check the length."""
    works = {work_of(site, computations, Typed(name, "x" * 1025)) for name in ("Ada", "Nobody")}

    assert works == {work_of(site, computations, WRONG_PASSWORD)}


@pytest.mark.parametrize("username", ["Ada", "Nobody"])
def test_cve_2018_20170_token_for_a_program_costs_the_same(
    site: AuthSite, computations: Computations, username: str
) -> None:
    """Keystone told unknown names at once to programs that ask by an interface. Disputed, and filed all the same."""
    work = work_of(site, computations, Typed(username), refused_by_authenticate)

    assert work == work_of(site, computations, WRONG_PASSWORD, refused_by_login)


class CallsOfNamespaces(FaultyStore):
    """A store that notes the calls of its namespaces too, in one list."""

    def namespace(self, name: str) -> CallsOfNamespaces:
        inner = CallsOfNamespaces(self.behind.namespace(name))
        inner.calls = self.calls
        return inner


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in ("impossible name", "huge name")])
def test_cve_2021_29621_every_refusal_asks_the_same_of_the_store_and_of_the_accounts(name: str) -> None:
    """Beside the hash it is these calls that take time. Of a name that nobody can have, there is nothing to look up."""
    calls = []
    for typed in (WRONG_PASSWORD, OTHERS[name]):
        store = CallsOfNamespaces(MemoryStore())
        site = with_accounts(AuthSite(hasher=Argon2Hasher(time_cost=2, memory_cost=64, parallelism=1), store=store))
        site.users.taken()
        store.calls.clear()
        with pytest.raises(LoginFailed):
            refused_by_login(site, typed)
        by_turns = [call for call in store.calls if call != "prune"]  # which about every hundredth creation does
        calls.append((by_turns, site.users.taken()))

    assert calls[0] == calls[1]
    assert len(calls[0][0]) > 3


# By what the answer says


def refusal(site: AuthSite, typed: Typed) -> tuple[str, list[tuple[str, str]], bytes]:
    """All that is sent in answer to a login on the page, but for the name that was typed."""
    pages = AuthPages(lambda environ, start_response: [], site.auth)
    response: TestResponse = TestApp(site.wrapped(pages)).post("/login", typed._asdict(), expect_errors=True)
    body: bytes = response.body
    headers = [header for header in response.headerlist if header[0] != "Content-Length"]  # of which the name is a part
    return response.status, headers, body.replace(typed.username.encode(), b"")


def test_cve_2018_6188_disabled_account_looks_like_a_wrong_password(site: AuthSite) -> None:
    """Django's form said of a disabled account that it is disabled, whatever the password was."""
    wrong = refusal(site, WRONG_PASSWORD)

    assert refusal(site, Typed("Disabled")) == wrong
    assert refusal(site, Typed("Disabled", PASSWORD)) == wrong


@pytest.mark.parametrize("typed", [Typed("Nobody"), Typed("Nobody", PASSWORD), Typed("Unusable"), Typed("Older")])
def test_cve_2021_21424_cve_2017_5537_refusals_are_the_same_byte_for_byte(site: AuthSite, typed: Typed) -> None:
    """Symfony's exceptions and Weblate's form to reset a password told which accounts exist."""
    assert refusal(site, typed) == refusal(site, WRONG_PASSWORD)


def test_cve_2024_45231_hook_that_fails_tells_nothing() -> None:
    """Django's form to reset a password failed where mail could not be sent, that is, for accounts that exist."""

    def hook(event: object) -> None:
        raise OSError("the mail server is down")

    site = AuthSite(on_event=hook)
    user: User = site.register("Ada")

    assert refusal(site, Typed(user.username)) == refusal(site, Typed("Nobody"))
