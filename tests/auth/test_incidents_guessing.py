"""Incidents with guessing: limits that did not hold, and limits that shut out the wrong people."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sessionware import LoginFailed, Throttled
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite

ATTACKER = "203.0.113.66"
AT_ONCE = 5
"""How often one address may try one account at once."""
AT_ONCE_BY_ALL = 30
"""How often all strangers together may."""


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    site.register("Ada")
    return site


def attempt(
    site: AuthSite,
    username: str = "Ada",
    password: str = "not the password",
    *,
    address: str = ATTACKER,
    browser: AuthBrowser | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """What comes of one login: "in", "refused" or "throttled"."""
    outcome = {"is": "in"}

    def act(environ: dict[str, Any]) -> None:
        try:
            site.auth.login(environ, username, password)
        except LoginFailed:
            outcome["is"] = "refused"
        except Throttled:
            outcome["is"] = "throttled"

    visit = {"act": act, "status": "200 OK"}
    client = (browser or site.browser()).client
    client.request(
        "/", method="POST", headers=dict(headers or {}), environ={"test.visit": visit, "REMOTE_ADDR": address}
    )
    return outcome["is"]


def use_up(site: AuthSite, username: str = "Ada", **more: Any) -> int:
    """Try until there is no more trying, and return how many passwords were looked at."""
    for looked_at in range(100):
        if attempt(site, username, **more) == "throttled":
            return looked_at
    raise AssertionError("nothing holds an attacker back")


# Limits that did not hold


def test_cve_2019_5421_cve_2023_33170_cve_2024_4629_attempts_at_once_are_counted_before(site: AuthSite) -> None:
    """Devise, ASP.NET and Keycloak counted an attempt after it had failed, so hundreds got in beside each other."""
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda _: attempt(site), range(200)))

    assert outcomes.count("refused") == AT_ONCE
    assert outcomes.count("throttled") == 200 - AT_ONCE
    assert site.hasher.calls == ["verify"] * AT_ONCE


def test_cve_2020_11052_limit_holds_again_after_every_wait(site: AuthSite) -> None:
    """Sorcery's held once: when the first wait was over, nothing was counted any more."""
    assert use_up(site) == AT_ONCE
    for _ in range(10):
        site.clock.tick(30)
        assert use_up(site) == 1
    site.clock.tick(86400)
    assert use_up(site) == AT_ONCE


def test_allauth_2025_05_success_does_not_clear_the_lane_of_the_address(site: AuthSite) -> None:
    """There, an attacker logged in to an account of his own in between, and went on guessing."""
    site.register("Eve")
    victims = [f"victim{number}" for number in range(100)]
    outcomes = []
    for victim in victims:
        outcomes.append(attempt(site, victim))
        attempt(site, "Eve", PASSWORD)

    assert outcomes.count("refused") <= AT_ONCE_BY_ALL


@pytest.mark.parametrize("typed", ["ADA", "aDa", "\uff21da", "Ada "])
def test_allauth_2022_spelling_of_a_name_does_not_matter(site: AuthSite, typed: str) -> None:
    """There, another capital letter was another account to the limit, and the same to the login."""
    use_up(site)

    outcome = attempt(site, typed, PASSWORD)

    assert outcome == ("refused" if typed != typed.strip() else "throttled")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Client-IP", "True-Client-IP"])
def test_allauth_65_14_2_forwarded_address_is_not_believed(site: AuthSite, header: str) -> None:
    """There, whoever sent another address with each attempt was another visitor each time."""
    use_up(site)

    sent = [{header: f"198.51.100.{number}"} for number in range(10)]
    assert [attempt(site, headers=headers) for headers in sent] == ["throttled"] * 10


# Limits that shut out the wrong people


def test_cve_2024_1722_strangers_lock_nobody_out(site: AuthSite) -> None:
    """In Keycloak a stranger could keep others from logging in. Here the owner's browser has a lane of its own."""
    owner = site.browser()
    assert attempt(site, "Ada", PASSWORD, address="192.0.2.1", browser=owner) == "in"
    for number in range(100):
        attempt(site, address=f"198.51.100.{number}")
    assert attempt(site, address="198.51.100.250") == "throttled"

    owner.do(site.auth.logout)

    assert attempt(site, "Ada", PASSWORD, address="192.0.2.99", browser=owner) == "in"


def test_cve_2024_1722_wait_is_short_for_the_owner_elsewhere_too(site: AuthSite) -> None:
    """No flood makes it longer, and nothing has to be unlocked."""
    for number in range(500):
        attempt(site, address=f"198.51.{number // 250}.{number % 250}")

    site.clock.tick(10)

    assert attempt(site, "Ada", PASSWORD, address="192.0.2.99") == "in"


def test_cve_2024_1722_no_name_is_another_ones_lane(site: AuthSite) -> None:
    """Whatever is typed: another account's id, its digest, or a name with a separator in it."""
    ada = site.users.find_by_key("ada")
    for typed in (ada.id, f"{ada.id}:ada", "account", f"ada\0{ATTACKER}", f"ada|{ATTACKER}", ""):
        use_up(site, typed, address=ATTACKER[:-1] + "7")

    assert attempt(site, "Ada", PASSWORD, address="192.0.2.99") == "in"
